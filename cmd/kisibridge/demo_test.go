package main

import (
	"strings"
	"testing"
)

func TestTheDemoEndsWithEqualStates(t *testing.T) {
	var out strings.Builder
	status := run(t.Context(), []string{"demo", "--once", "--people", "300"}, nil, &out, &out)
	if status != 0 {
		t.Fatalf("the demo ends with %d:\n%s", status, &out)
	}
	for _, has := range []string{"Importing:", "joined", "left", "→ Kisi in", "0 violations", "Directory and doors are equal."} {
		if !strings.Contains(out.String(), has) {
			t.Errorf("no %q in:\n%s", has, &out)
		}
	}
}

func TestTheProgramSaysWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		name    string
		args    []string
		environ []string
		status  int
		has     string
	}{
		{"its version", []string{"version"}, nil, 0, "kisibridge dev"},
		{"an unknown command", []string{"server"}, nil, 2, "unknown command"},
		{"too small a demo", []string{"demo", "--people", "3"}, nil, 1, "at least 100 people"},
		{"a setting", []string{"serve"}, []string{"KISIBRIDGE_KISI_RATE=many"}, 1, "KISIBRIDGE_KISI_RATE"},
		{"a flag goes before the environment", []string{"doctor", "--kisi-rate", "0"}, []string{"KISIBRIDGE_KISI_RATE=5"}, 1, "KISIBRIDGE_KISI_RATE"},
		{"no Redis", []string{"doctor", "--redis-url", "redis://127.0.0.1:1"}, nil, 1, "KISIBRIDGE_REDIS_URL to one that runs"},
		{"no public address", []string{"doctor", "--redis-url", "redis://127.0.0.1:1"}, nil, 1, "changes are seen within 30 s"},
		{"an integration without a target", []string{"local", "integrations", "add", "--name", "x"}, nil, 2, "kisi-group"},
		{"no tenant", []string{"local", "integrations", "add", "--name", "x", "--entra-group", "g", "--kisi-group", "4"}, nil, 2, "entra_connection_id"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			status := run(t.Context(), tc.args, tc.environ, &out, &out)
			if status != tc.status || !strings.Contains(out.String(), tc.has) {
				t.Errorf("%v ends with %d, want %d with %q:\n%s", tc.args, status, tc.status, tc.has, &out)
			}
		})
	}
}
