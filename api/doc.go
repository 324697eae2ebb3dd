// Package api will hold what is generated from openapi.yaml: types, server and
// client of the routes under /v1. There are none of those yet, so it is empty.
package api
