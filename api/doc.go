// Package api is generated from openapi.yaml: the types of the routes under
// /v1, an Echo server that handlers implement as [StrictServerInterface], and
// a client. What Graph, Kisi, probes and browsers call is not in here.
package api

//go:generate cp ../openapi.yaml openapi.gen.yaml
//go:generate go tool -modfile=../.tools/oapi-codegen.mod oapi-codegen --config types.yaml ../openapi.yaml
//go:generate go tool -modfile=../.tools/oapi-codegen.mod oapi-codegen --config server.yaml ../openapi.yaml
//go:generate go tool -modfile=../.tools/oapi-codegen.mod oapi-codegen --config client.yaml ../openapi.yaml

import _ "embed"

//go:embed openapi.gen.yaml
var document string

// Document is openapi.yaml. (An embedded file must lie beside its package, so
// that a copy of it does.)
func Document() string { return document }
