package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"

	"kisibridge/api"
	"kisibridge/internal/app"
	"kisibridge/internal/store"
)

// file writes a file to import.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "kisibridge.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const exported = `kisibridge: 1
connections:
- id: 01KISI
  kind: kisi
  name: Doors
  organization: 4711
- id: contoso
  kind: entra
  name: Contoso
integrations:
- disabled_accounts: revoke
  email_property: userPrincipalName
  entra_connection_id: contoso
  entra_group_id: g-hq
  exclude: []
  existing_access: adopt
  first_batch: 0
  guests: true
  insist: false
  kisi_connection_id: 01KISI
  membership: direct
  name: HQ doors
  notify: true
  removal_hours: 0
  removal_limit:
    count: 25
    percent: 20
  removal_mode: at_once
  send_emails: true
  target:
    id: 45
    type: group
`

func TestExportPrintsWhatImportLeavesAlone(t *testing.T) {
	c := newCounter(t).hq()
	status, out, errs := c.do(t.Context(), nil, "export")
	if diff := cmp.Diff(exported, out); status != exitWell || diff != "" {
		t.Fatalf("export ends with %d %s (-want +got):\n%s", status, errs, diff)
	}
	status, out, errs = c.do(t.Context(), nil, "import", file(t, out))
	want := `DO     KIND         NAME      WHAT
leave  connection   Doors     -
leave  connection   Contoso   -
leave  integration  HQ doors  -
`
	if diff := cmp.Diff(want, out); status != exitWell || diff != "" || c.asked != nil {
		t.Errorf("import ends with %d %s after %q (-want +got):\n%s", status, errs, c.asked, diff)
	}
}

// otherwise is a file that differs from what is there in every way, and names
// little: what it does not say stays.
const otherwise = `kisibridge: 1
connections:
- {id: 01ELSEWHERE, kind: kisi, name: doors}
- {id: contoso, kind: entra, name: Contoso Ltd}
integrations:
- name: HQ doors
  entra_connection_id: contoso
  entra_group_id: g-hq
  kisi_connection_id: 01ELSEWHERE
  target: {type: group, id: 45}
  guests: false
  exclude: [CEO@contoso.example, b@contoso.example]
- name: Everybody
  entra_connection_id: contoso
  entra_group_id: g-all
  kisi_connection_id: 01ELSEWHERE
  target: {type: users_only}
`

func TestASecondImportChangesNothing(t *testing.T) {
	c, name := newCounter(t).hq(), file(t, otherwise)
	want := `DO      KIND         NAME         WHAT
change  connection   doors        name
change  connection   Contoso Ltd  name
change  integration  HQ doors     exclude, guests
create  integration  Everybody    -
`
	status, out, errs := c.do(t.Context(), nil, "import", name, "--dry-run")
	if diff := cmp.Diff(want, out); status != exitWell || diff != "" || c.asked != nil {
		t.Errorf("a dry run ends with %d %s after %q (-want +got):\n%s", status, errs, c.asked, diff)
	}
	status, out, errs = c.do(t.Context(), nil, "import", name)
	if diff := cmp.Diff(want, out); status != exitWell || diff != "" {
		t.Errorf("import ends with %d %s (-want +got):\n%s", status, errs, diff)
	}
	asked := []string{
		`PATCH /v1/connections/01KISI {"name":"doors"}`,
		`PATCH /v1/connections/contoso {"name":"Contoso Ltd"}`,
		`PATCH /v1/integrations/01I1 {"exclude":["CEO@contoso.example","b@contoso.example"],"guests":false}`,
		`POST /v1/integrations {"entra_connection_id":"contoso","entra_group_id":"g-all","kisi_connection_id":"01KISI","name":"Everybody","target":{"type":"users_only"}}`,
	}
	if diff := cmp.Diff(asked, c.asked); diff != "" {
		t.Errorf("the first import asks (-want +got):\n%s", diff)
	}
	c.asked = nil
	c.integrations[0].Exclude = api.Exclude{"b@contoso.example", "ceo@contoso.example"} // as the bridge may keep it
	status, out, errs = c.do(t.Context(), nil, "import", name)
	if status != exitWell || c.asked != nil || strings.Contains(out, "change") || strings.Contains(out, "create") {
		t.Errorf("the second import ends with %d %s after %q:\n%s", status, errs, c.asked, out)
	}
}

func TestAWrongFileIsRefusedBeforeAnythingIsDone(t *testing.T) {
	twice := strings.Replace(exported, "integrations:\n", "integrations:\n- {name: HQ doors, entra_connection_id: contoso, entra_group_id: g-hq, kisi_connection_id: 01KISI, target: {type: group, id: 45}}\n", 1)
	for _, tc := range []struct{ name, text, has string }{
		{"no YAML", "kisibridge: [", "import "},
		{"an unknown field", strings.Replace(exported, "guests:", "gusts:", 1), `unknown field "gusts"`},
		{"another version", strings.Replace(exported, "kisibridge: 1", "kisibridge: 2", 1), "begin with kisibridge: 1"},
		{"an integration twice", twice, `the integration "HQ doors", from group g-hq to group 45, is there twice`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCounter(t)
			status, out, errs := c.do(t.Context(), nil, "import", file(t, tc.text))
			if status != exitUsage || !strings.Contains(errs, tc.has) || c.asked != nil || c.pages != 0 {
				t.Errorf("import ends with %d, want %d with %q:\n%s%s", status, exitUsage, tc.has, out, errs)
			}
		})
	}
}

func TestAnEntryThatFailsDoesNotStopTheOthers(t *testing.T) {
	c := newCounter(t)
	text := strings.Replace(exported, "connections:\n", "connections:\n- {id: 01LAB, kind: kisi, name: Lab}\n", 1)
	status, out, errs := c.do(t.Context(), nil, "import", file(t, text))
	if status != exitUsage || !strings.Contains(errs, "there is no kisi connection 01LAB (Lab): make it with kisibridge connections add-kisi") {
		t.Errorf("import ends with %d: %s", status, errs)
	}
	if len(c.integrations) != 1 || !strings.Contains(out, "fail    connection   Lab") {
		t.Errorf("%d integrations are made, want 1:\n%s", len(c.integrations), out)
	}
}

// sealKey is a key of KISIBRIDGE_SECRET_KEY.
func sealKey(letter string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, store.SealKeySize)))
}

// A vault is a Redis with one sealed key.
type vault struct {
	t       *testing.T
	environ []string
}

func newVault(t *testing.T, keys string) *vault {
	t.Helper()
	return &vault{t, []string{"KISIBRIDGE_REDIS_URL=redis://" + miniredis.RunT(t).Addr(), "KISIBRIDGE_SECRET_KEY=" + keys}}
}

func (v *vault) sealer() *store.Sealer {
	v.t.Helper()
	c, err := app.Load(v.environ)
	if err != nil {
		v.t.Fatal(err)
	}
	s, err := c.Sealer()
	if err != nil {
		v.t.Fatal(err)
	}
	return s
}

// open does something to what is stored.
func (v *vault) open(do func(s *store.Store) error) {
	v.t.Helper()
	p := &program{environ: v.environ, out: v.t.Output(), err: v.t.Output()}
	if err := p.stored(v.t.Context(), do); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vault) keep(id, key string) {
	v.t.Helper()
	sealed, err := v.sealer().Seal(id, key)
	if err != nil {
		v.t.Fatal(err)
	}
	v.open(func(s *store.Store) error {
		return s.AddConnection(v.t.Context(), store.Connection{ID: id, Kind: store.KisiConnection, Name: "Doors", Organization: 4711, Sealed: sealed, Created: dawn()})
	})
}

func (v *vault) key(id string) (key string, fresh bool) {
	v.t.Helper()
	v.open(func(s *store.Store) error {
		c, err := s.Connection(v.t.Context(), id)
		if err == nil {
			key, err = v.sealer().Open(id, c.Sealed)
			fresh = v.sealer().Fresh(c.Sealed)
		}
		return err
	})
	return key, fresh
}

func TestSealedKeysMoveBetweenBridgesOnlyWhenAskedFor(t *testing.T) {
	from, to := newVault(t, sealKey("a")), newVault(t, sealKey("a"))
	from.keep("01KISI", "secret-of-kisi")
	_, plain, _ := newCounter(t).do(t.Context(), from.environ, "export")
	status, out, errs := newCounter(t).do(t.Context(), from.environ, "export", "--with-secrets")
	if status != exitWell || strings.Contains(plain, "sealed:") || !strings.Contains(out, "sealed: ") || strings.Contains(out, "secret-of-kisi") {
		t.Fatalf("export ends with %d %s:\n%s\nand without secrets:\n%s", status, errs, out, plain)
	}
	name := file(t, out)
	empty := newCounter(t)
	empty.connections = empty.connections[:1] // the tenant alone
	if status, out, errs := empty.do(t.Context(), to.environ, "import", name); status != exitUsage || !strings.Contains(errs, "export --with-secrets") {
		t.Errorf("without secrets, import ends with %d %s:\n%s", status, errs, out)
	}
	for _, want := range []string{"create  connection  Doors    -", ""} {
		status, out, errs := empty.do(t.Context(), to.environ, "import", name, "--with-secrets")
		if status != exitWell || !strings.Contains(out, want) || want == "" && strings.Contains(out, "create") {
			t.Errorf("import ends with %d %s:\n%s", status, errs, out)
		}
	}
	if key, _ := to.key("01KISI"); key != "secret-of-kisi" {
		t.Errorf("the key that arrives is %q", key)
	}
	foreign := newVault(t, sealKey("b"))
	if status, _, errs := empty.do(t.Context(), foreign.environ, "import", name, "--with-secrets"); status != exitDenied || !strings.Contains(errs, "the key that sealed it") {
		t.Errorf("under another key, import ends with %d %s", status, errs)
	}
}

func TestKeysRotateSealsWithTheFirstKey(t *testing.T) {
	v := newVault(t, sealKey("a"))
	v.keep("01KISI", "secret-of-kisi")
	for _, tc := range []struct {
		name, keys, says string
		status           int
		fresh            bool
	}{
		{"the old one alone", sealKey("a"), "Sealed again: 0. Sealed with the first key already: 1. Cannot be opened: 0.", exitWell, true},
		{"a new one before it", sealKey("b") + "," + sealKey("a"), "Sealed again: 1. Sealed with the first key already: 0. Cannot be opened: 0.", exitWell, true},
		{"and again", sealKey("b") + "," + sealKey("a"), "Sealed again: 0. Sealed with the first key already: 1. Cannot be opened: 0.", exitWell, true},
		{"the old one is taken out", sealKey("b"), "Sealed again: 0. Sealed with the first key already: 1.", exitWell, true},
		{"neither of them", sealKey("c"), "Cannot be opened: 1.", exitDenied, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v.environ[1] = "KISIBRIDGE_SECRET_KEY=" + tc.keys
			status, out, errs := newCounter(t).do(t.Context(), v.environ, "keys", "rotate")
			if status != tc.status || !strings.Contains(out, tc.says) {
				t.Errorf("it ends with %d, want %d: %s%s", status, tc.status, out, errs)
			}
			if !tc.fresh {
				return
			}
			if key, fresh := v.key("01KISI"); key != "secret-of-kisi" || !fresh {
				t.Errorf("the key is %q, sealed with the first: %v", key, fresh)
			}
		})
	}
}
