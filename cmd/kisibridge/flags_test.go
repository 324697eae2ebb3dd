package main

import (
	"strings"
	"testing"

	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
)

func TestAWrongFlagIsNamedWithWhatIsExpected(t *testing.T) {
	environ := []string{
		"KISIBRIDGE_REDIS_URL=redis://127.0.0.1:1", // none of these gets so far
		"AZURE_TENANT_ID=" + graphsim.DefaultTenant, "AZURE_CLIENT_ID=" + graphsim.DefaultClientID,
		"AZURE_CLIENT_SECRET=" + graphsim.DefaultClientSecret, "KISI_API_KEY=" + kisisim.DefaultAPIKey,
	}
	const add = "local integrations add --name x --entra-group g --kisi-group 4 "
	for _, tc := range []struct{ name, args, has string }{
		{"membership", add + "--membership nested", `membership: is "nested"; use direct or transitive`},
		{"guests", add + "--guests=perhaps", `"--guests"`},
		{"a removal mode", add + "--removal-mode later", `removal_mode: is "later"; use at_once, after or never`},
		{"hours without the mode", add + "--removal-hours 4", "removal_hours: is 4; give 1 to 8760 with removal_mode after"},
		{"the mode without hours", add + "--removal-mode after", "removal_hours: is 0; give 1 to 8760"},
		{"a share", add + "--removal-percent 200", "removal_limit.percent: is 200; use 0 to 100"},
		{"a count", add + "--removal-count -1", "removal_limit.count: is -1; use 0 or more"},
		{"a batch", add + "--first-batch -1", "first_batch: is -1; use 0 for all at once, or a number of people"},
		{"an exclusion", add + "--exclude " + strings.Repeat("x", 300), "exclude: has"},
		{"no number", add + "--first-batch ten", `"--first-batch"`},
		{"no group of Kisi", "local integrations add --name x --entra-group g --kisi-group 0", "target.id: is 0"},
		{"no group of Entra", "local integrations add --name x --kisi-team 4", "entra_group_id"},
		{"two targets", add + "--users-only", "none of the others can be"},
		{"all mistakes at once", add + "--membership nested --email-property upn", "email_property: is \"upn\""},
		{"a preview of nothing", "local integrations preview", "at least one of the flags"},
		{"a preview of two things", "local integrations preview --id 7k2m --entra-group g", "none of the others can be"},
		{"a wrong preview", "local integrations preview --entra-group g --kisi-group 4 --membership nested", "membership: is"},
		{"a change of nothing", "local integrations update 7k2m", "no flag says what to change"},
		{"no integration", "local integrations nod", "accepts 1 arg"},
		{"a position", "local integrations people 7k2m --state gone", `--state "gone": use one of granted, pending`},
		{"an event", "local events --after yesterday", `--after "yesterday": give the id of an event, as 1764`},
		{"a person by email", "local sync-person ada@contoso.example", "give the object id of the account"},
		{"no such verb", "local connections listen --x", "unknown flag"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			if status := run(t.Context(), strings.Fields(tc.args), environ, &out, &out); status != exitUsage || !strings.Contains(out.String(), tc.has) {
				t.Errorf("%s ends with %d, want %d with %q:\n%s", tc.args, status, exitUsage, tc.has, &out)
			}
		})
	}
}
