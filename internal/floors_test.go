package internal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// floors says which packages of ours each package may import. A package that
// is not here may not be there.
var floors = map[string][]string{
	"internal/fault":     {},
	"internal/access":    {"internal/fault"},
	"internal/entra":     {"internal/access", "internal/fault"},
	"internal/kisi":      {"internal/access", "internal/fault"},
	"internal/store":     {"internal/access", "internal/fault"},
	"internal/jobs":      {"internal/access", "internal/fault"},
	"internal/bridge":    {"internal/access", "internal/fault", "internal/store"},
	"internal/webhook":   {"internal/access", "internal/fault"},
	"internal/auth":      {"internal/fault", "internal/store"},
	"internal/rest":      {"api", "internal/access", "internal/auth", "internal/bridge", "internal/fault", "internal/store"},
	"internal/console":   {"internal/access", "internal/auth", "internal/bridge", "internal/fault", "internal/store"},
	"internal/graphsim":  {},
	"internal/kisisim":   {},
	"internal/redistest": {},
	"api":                {},
	// Not entra: cmd hands that client in, so that app and its stories build
	// without the Graph SDK and run under the race detector.
	"internal/app": {
		"internal/access", "internal/auth", "internal/bridge", "internal/console", "internal/fault",
		"internal/jobs", "internal/kisi", "internal/rest", "internal/store", "internal/webhook",
	},
	"cmd/kisibridge": {
		"api", "internal/access", "internal/app", "internal/bridge", "internal/entra", "internal/fault",
		"internal/graphsim", "internal/kisi", "internal/kisisim", "internal/store",
	},
}

// unbuilt are the rooms of the map that later issues build.
var unbuilt = []string{"internal/console"}

// stage is what the tests of any package may stand on besides its own floors.
var stage = []string{
	"internal/access", "internal/fault", "internal/graphsim", "internal/kisisim",
	"internal/redistest", "internal/store",
}

// owners says who may import a heavy module, by the prefix of its path.
var owners = map[string][]string{
	"github.com/microsoftgraph/":                        {"internal/entra"},
	"github.com/microsoft/kiota-":                       {"internal/entra"},
	"github.com/Azure/":                                 {"internal/entra"},
	"github.com/AzureAD/":                               {"internal/entra"},
	"github.com/hibiken/asynq":                          {"internal/jobs"},
	"github.com/redis/go-redis/":                        {"internal/store", "internal/jobs", "internal/app", "internal/redistest", "cmd/kisibridge"},
	"github.com/labstack/echo/":                         {"api", "internal/webhook", "internal/app", "internal/rest", "internal/console"},
	"github.com/alicebob/miniredis/":                    {"internal/redistest", "cmd/kisibridge"},
	"github.com/caarlos0/env/":                          {"internal/app"},
	"github.com/swaggest/swgui":                         {"internal/app"},
	"github.com/coreos/go-oidc/":                        {"internal/auth"},
	"golang.org/x/oauth2":                               {"internal/auth"},
	"github.com/oapi-codegen/":                          {"api", "internal/rest"},
	"github.com/getkin/kin-openapi/":                    {"api", "internal/rest"},
	"github.com/spf13/cobra":                            {"cmd/kisibridge"},
	"github.com/yuin/gopher-lua":                        {},
	"github.com/prometheus/client_golang/prometheus/pr": {"internal/app", "internal/auth", "internal/bridge", "internal/entra", "internal/jobs", "internal/kisi", "internal/rest", "internal/webhook"},
}

// benched are the modules that any test may import: what the code under test
// takes or returns.
var benched = []string{
	"github.com/redis/go-redis/", "github.com/labstack/echo/", "github.com/alicebob/miniredis/",
	"github.com/hibiken/asynq", "github.com/prometheus/client_golang/prometheus/pr",
}

// heavy are the packages that `make test` keeps from the race detector: they
// alone may link the Graph SDK.
var heavy = []string{"internal/entra", "cmd/kisibridge"}

// A goPackage is what go list says of one.
type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func TestNoPackageImportsAboveItsFloor(t *testing.T) {
	for _, wrong := range trespasses(goList(t, "./...")) {
		t.Error(wrong)
	}
}

func TestOnlyEntraAndCmdLinkTheGraphSDK(t *testing.T) {
	var light []string
	for _, p := range goList(t, "./...") {
		if !slices.Contains(heavy, room(p.ImportPath)) {
			light = append(light, p.ImportPath)
		}
	}
	for _, p := range goList(t, append([]string{"-deps", "-test"}, light...)...) {
		if strings.HasPrefix(p.ImportPath, "github.com/microsoftgraph/") {
			t.Errorf("%s is linked outside of %v", p.ImportPath, heavy)
		}
	}
}

func TestTrespassesNamesEveryKindOfMistake(t *testing.T) {
	house := []goPackage{{ImportPath: "kisibridge/internal"}}
	for name := range floors {
		if name != "internal/jobs" {
			house = append(house, goPackage{ImportPath: "kisibridge/" + name})
		}
	}
	house = append(house,
		goPackage{ImportPath: "kisibridge/internal/fault", Imports: []string{"errors", "kisibridge/internal/store"}},
		goPackage{ImportPath: "kisibridge/internal/bridge", Imports: []string{"github.com/hibiken/asynq"}},
		goPackage{
			ImportPath:   "kisibridge/internal/webhook",
			Imports:      []string{"kisibridge/internal/access", "github.com/labstack/echo/v4"},
			TestImports:  []string{"kisibridge/internal/graphsim"},
			XTestImports: []string{"kisibridge/internal/webhook", "github.com/microsoftgraph/msgraph-sdk-go/models"},
		},
		goPackage{ImportPath: "kisibridge/internal/utils"},
	)
	want := []string{
		"internal/bridge imports github.com/hibiken/asynq, which belongs to [internal/jobs]",
		"internal/fault imports internal/store, which is above its floor",
		"internal/jobs has a floor and no code",
		"internal/utils has no floor",
		"the tests of internal/webhook import github.com/microsoftgraph/msgraph-sdk-go/models, which belongs to [internal/entra]",
	}
	if diff := cmp.Diff(want, trespasses(house)); diff != "" {
		t.Errorf("trespasses (-want +got):\n%s", diff)
	}
}

// trespasses says, sorted, how packages differ from the map.
func trespasses(packages []goPackage) []string {
	var wrong []string
	built := map[string]bool{}
	for _, p := range packages {
		name := room(p.ImportPath)
		built[name] = true
		if name == "internal" { // this test
			continue
		}
		floor, ok := floors[name]
		if !ok {
			wrong = append(wrong, name+" has no floor")
			continue
		}
		wrong = append(wrong, check(name+" imports", p.Imports, floor, name, nil)...)
		tests := slices.Concat(p.TestImports, p.XTestImports)
		below := slices.Concat(floor, stage, []string{name})
		wrong = append(wrong, check("the tests of "+name+" import", tests, below, name, benched)...)
	}
	for name := range floors {
		if !built[name] && !slices.Contains(unbuilt, name) {
			wrong = append(wrong, name+" has a floor and no code")
		}
	}
	slices.Sort(wrong)
	return wrong
}

// check says which imports are neither below nor free to the package name.
func check(who string, imports, below []string, name string, free []string) []string {
	var wrong []string
	for _, path := range imports {
		if strings.HasPrefix(path, "kisibridge/") && !slices.Contains(below, room(path)) {
			wrong = append(wrong, fmt.Sprintf("%s %s, which is above its floor", who, room(path)))
		}
		for module, may := range owners {
			if strings.HasPrefix(path, module) && !slices.Contains(may, name) && !slices.Contains(free, module) {
				wrong = append(wrong, fmt.Sprintf("%s %s, which belongs to %v", who, path, may))
			}
		}
	}
	return wrong
}

func room(path string) string { return strings.TrimPrefix(path, "kisibridge/") }

// goList asks go list, from the top of the module.
func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,TestImports,XTestImports"}, args...)...)
	cmd.Dir = ".."
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, complaint.String())
	}
	var packages []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		packages = append(packages, p)
	}
}
