package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"kisibridge/api"
)

// hq makes the integration that most tests look at.
func (c *counter) hq() *counter {
	c.t.Helper()
	status, _, errs := c.do(c.t.Context(), nil, "integrations", "create", "--name", "HQ doors", "--entra-group", "g-hq", "--kisi-group", "45")
	if status != exitWell {
		c.t.Fatalf("create ends with %d: %s", status, errs)
	}
	c.asked = nil
	return c
}

func TestAWrongLineOfACommandOverTheAPIEndsWithTheStatusOfMisuse(t *testing.T) {
	const create = "integrations create --name x --entra-group g "
	for _, tc := range []struct{ name, args, has string }{
		{"no such command", "integration list", "unknown command"},
		{"no such verb", "integrations lists", `unknown command "lists"; see kisibridge integrations --help`},
		{"no such flag", "integrations list --x", "unknown flag"},
		{"no id", "integrations get", "accepts 1 arg"},
		{"no number", create + "--kisi-group many", `"--kisi-group"`},
		{"no target", create, "at least one of the flags"},
		{"two targets", create + "--kisi-group 4 --users-only", "none of the others can be"},
		{"no name", "integrations create --entra-group g --kisi-group 4", `"name" not set`},
		{"an output", "integrations list -o xml", `--output: is "xml"; use table, json or yaml`},
		{"an address", "status --url bridge.example", `KISIBRIDGE_URL: is "bridge.example"; use the address of a bridge`},
		{"a change of nothing", "integrations update 01I1", "no flag says what to change"},
		{"a preview of nothing", "integrations preview", "give the ID of an integration, or --entra-group"},
		{"a preview of two things", "integrations preview 01I1 --entra-group g", "give the ID of an integration, or --entra-group"},
		{"a position", "integrations people 01I1 --state gone", `--state: is "gone"; use one of granted, pending`},
		{"a person by email", "sync-person ada@contoso.example", "give the object id of the account"},
		{"a person of an integration by email", "integrations person 01I1 ada@contoso.example", "give the object id of the account"},
		{"a time", "events --since yesterday", `--since: is "yesterday"; use a time, as 2026-`},
		{"a limit of what has no end", "events --follow --limit 4", "none of the others can be"},
		{"a role", "keys create ci --role root", `--role: is "root"; use viewer, operator or admin`},
		{"a life", "keys create ci --role viewer --expires-in -1h", "use a time to come, as 720h"},
		{"no dead job", "dead retry", "give the ID of a job, or --all"},
		{"a tenant of several", "sync-person 9e0b --entra-connection Nobody", "find the entra connection Nobody: there is none"},
		{"a file that is not there", "import /nowhere.yaml", "/nowhere.yaml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := exitUsage
			if strings.Contains(tc.has, "there is none") {
				want = exitMissing
			}
			status, out, errs := newCounter(t).do(t.Context(), nil, strings.Fields(tc.args)...)
			if status != want || !strings.Contains(errs, tc.has) || out != "" {
				t.Errorf("%s ends with %d, want %d with %q:\n%s%s", tc.args, status, want, tc.has, out, errs)
			}
		})
	}
}

func TestAProblemIsToldWithEveryFieldItsRemedyAndTheHint(t *testing.T) {
	ptr := func(s string) *string { return &s }
	for _, tc := range []struct {
		name    string
		problem api.Problem
		status  int
		text    string
	}{
		{
			"a mistake",
			api.Problem{
				Status: 422, Title: "Something in it is wrong", Hint: ptr("See openapi.yaml."),
				Errors: &[]api.FieldProblem{
					{Field: "removal_limit.percent", Detail: "is 120", Hint: ptr("use 0 to 100")}, {Field: "name", Detail: "is empty"},
				},
			},
			exitUsage, "Something in it is wrong\n  removal_limit.percent: is 120 (use 0 to 100)\n  name: is empty\nSee openapi.yaml.\n",
		},
		{"not there", api.Problem{Status: 404, Title: "There is no such thing", Detail: ptr("integration 01I9")}, exitMissing, "There is no such thing: integration 01I9\n"},
		{"nobody", api.Problem{Status: 401, Title: "Nobody is known by that key"}, exitDenied, "Nobody is known by that key\nset KISIBRIDGE_TOKEN to an API key, or to the admin token of the bridge\n"},
		{"too small a role", api.Problem{Status: 403, Title: "The role does not suffice"}, exitDenied, "The role does not suffice\n"},
		{"in use", api.Problem{Status: 409, Title: "It is in use"}, exitClash, "It is in use\n"},
		{"stale", api.Problem{Status: 412, Title: "It changed since"}, exitClash, "It changed since\n"},
		{"not now", api.Problem{Status: 503, Title: "Redis does not answer", Instance: ptr("req-1")}, exitBusy, "Redis does not answer\nThe logs of the bridge know it as req-1\n"},
		{"a bug", api.Problem{Status: 500, Title: "Nobody foresaw it"}, exitWrong, "Nobody foresaw it\n"},
		{"a proxy", api.Problem{Status: 502}, exitBusy, "GET http://localhost:8080/v1/status: 502 Bad Gateway\nis KISIBRIDGE_URL the address of a bridge?\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCounter(t)
			c.refuse["GET /v1/status"] = tc.problem
			status, out, errs := c.do(t.Context(), nil, "status")
			if diff := cmp.Diff(tc.text, errs); status != tc.status || diff != "" || out != "" {
				t.Errorf("status %d, want %d (-want +got):\n%s%s", status, tc.status, diff, out)
			}
		})
	}
}

func TestABridgeThatDoesNotAnswerEndsWithItsOwnStatus(t *testing.T) {
	p := &program{environ: []string{"KISIBRIDGE_URL=http://127.0.0.1:1"}, out: t.Output(), err: t.Output()}
	if got := p.run(t.Context(), []string{"status"}); got != exitBusy {
		t.Errorf("status %d, want %d", got, exitBusy)
	}
}

func TestTheSameAnswerIsATableJSONOrYAML(t *testing.T) {
	c := newCounter(t)
	for form, want := range map[string]string{
		"table": `ID       KIND   NAME     OF           INTEGRATIONS  WATCHED  CHECKED  WHY
contoso  entra  Contoso  Contoso      0             no       -        -
01KISI   kisi   Doors    Contoso Ltd  0             no       -        -
`,
		"json": `[
  {
    "created_at": "2026-01-31T08:00:00Z",
    "from_settings": false,
    "id": "contoso",
    "integrations": 0,
    "kind": "entra",
    "name": "Contoso",
    "tenant": {
      "display_name": "Contoso",
      "id": "contoso"
    },
    "watched": false
  },
  {
    "created_at": "2026-01-31T08:00:00Z",
    "from_settings": false,
    "id": "01KISI",
    "integrations": 0,
    "kind": "kisi",
    "name": "Doors",
    "organization": {
      "id": 4711,
      "name": "Contoso Ltd"
    },
    "watched": false
  }
]
`,
		"yaml": `- created_at: "2026-01-31T08:00:00Z"
  from_settings: false
  id: contoso
  integrations: 0
  kind: entra
  name: Contoso
  tenant:
    display_name: Contoso
    id: contoso
  watched: false
- created_at: "2026-01-31T08:00:00Z"
  from_settings: false
  id: 01KISI
  integrations: 0
  kind: kisi
  name: Doors
  organization:
    id: 4711
    name: Contoso Ltd
  watched: false
`,
	} {
		status, out, errs := c.do(t.Context(), nil, "connections", "list", "-o", form)
		if diff := cmp.Diff(want, out); status != exitWell || diff != "" || errs != "" {
			t.Errorf("%s ends with %d %s (-want +got):\n%s", form, status, errs, diff)
		}
	}
}

func TestAListIsFollowedToItsEndOrToTheLimit(t *testing.T) {
	for limit, want := range map[string]struct{ rows, pages int }{"0": {5, 3}, "1": {1, 1}, "3": {3, 2}, "9": {5, 3}} {
		c := newCounter(t)
		for k := range 5 {
			c.integrations = append(c.integrations, api.Integration{ID: string(rune('a' + k))})
		}
		status, out, errs := c.do(t.Context(), nil, "integrations", "list", "--limit", limit)
		if rows := strings.Count(out, "\n") - 1; status != exitWell || rows != want.rows || c.pages != want.pages {
			t.Errorf("a limit of %s lists %d in %d pages, want %v: %s", limit, rows, c.pages, want, errs)
		}
	}
}

func TestOnlyFlagsThatWereGivenAreSent(t *testing.T) {
	c := newCounter(t).hq()
	for _, tc := range []struct{ args, want string }{
		{"--guests=false --exclude ", `{"exclude":[],"guests":false}`},
		{"--removal-count 7", `{"removal_limit":{"count":7,"percent":20}}`},
		{"--removal-mode never", `{"removal_hours":0,"removal_mode":"never"}`},
		{"--removal-mode after --removal-hours 4", `{"removal_hours":4,"removal_mode":"after"}`},
	} {
		c.asked = nil
		status, _, errs := c.do(t.Context(), nil, append([]string{"integrations", "update", "01I1"}, strings.Split(tc.args, " ")...)...)
		if diff := cmp.Diff([]string{"PATCH /v1/integrations/01I1 " + tc.want}, c.asked); status != exitWell || diff != "" {
			t.Errorf("update %s ends with %d %s (-want +got):\n%s", tc.args, status, errs, diff)
		}
	}
}

func TestAKeyOfKisiComesFromStandardInput(t *testing.T) {
	c := newCounter(t)
	status, out, errs := c.do(t.Context(), nil, "connections", "add-kisi", "Lab")
	want := []string{`POST /v1/connections {"api_key":"secret-of-kisi","kind":"kisi","name":"Lab"}`}
	if diff := cmp.Diff(want, c.asked); status != exitWell || diff != "" || strings.Contains(out+errs, "secret-of-kisi") {
		t.Errorf("add-kisi ends with %d %s%s (-want +got):\n%s", status, out, errs, diff)
	}
}

func TestWaitShowsHowFarARunIsAndHowItEnds(t *testing.T) {
	at := func(state api.RunState, done, eta int) api.Run {
		return api.Run{ID: "01R", State: state, StartedAt: dawn(), Progress: api.Progress{Done: done, Total: 20, ETASeconds: eta}, Error: map[bool]string{true: "Kisi said no"}[state == api.RunStateFailed]}
	}
	for _, tc := range []struct {
		name   string
		last   api.Run
		status int
		errs   string
	}{
		{"all went well", at(api.RunStateDone, 20, 0), exitWell, "0 of 20, 4s left\n10 of 20, 2s left\n20 of 20\n"},
		{"it failed", at(api.RunStateFailed, 11, 0), exitWrong, "0 of 20, 4s left\n10 of 20, 2s left\nrun 01R failed: Kisi said no\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCounter(t)
				c.runs = []api.Run{at(api.RunStateRunning, 0, 4), at(api.RunStateRunning, 1, 4), at(api.RunStateRunning, 10, 2), tc.last}
				status, out, errs := c.do(t.Context(), nil, "integrations", "sync", "01I1", "--wait")
				if diff := cmp.Diff(tc.errs, errs); status != tc.status || diff != "" || !strings.Contains(out, string(tc.last.State)) {
					t.Errorf("status %d, want %d, with\n%s(-want +got):\n%s", status, tc.status, out, diff)
				}
			})
		})
	}
}

func TestTheShellCompletesIDs(t *testing.T) {
	c := newCounter(t).hq()
	_, out, _ := c.do(t.Context(), nil, "__complete", "integrations", "get", "")
	if diff := cmp.Diff("01I1\tHQ doors\n:4\n", out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, out, _ = c.do(t.Context(), nil, "__complete", "connections", "watch", "")
	if diff := cmp.Diff("01KISI\tDoors\n:4\n", out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
