package auth_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/auth"
)

func TestEveryCallerIsCounted(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		r := prometheus.NewRegistry()
		w.Gate = w.replica(func(o *auth.Options) { o.Metrics = r })
		_, secret := w.key("ci", auth.Viewer, 0)
		b := w.browser()
		if _, err := b.signIn(); err != nil {
			t.Fatal(err)
		}
		// What they get is told by other tests; here it is counted.
		_, _ = w.Identify(bearer(secret))
		_, _ = w.Identify(bearer("kbk_wrong"))
		_, _ = b.identify(w.Gate)
		_, _ = w.Identify(b.request("POST", "/", ""))
		_, _ = w.Identify(w.browser().request("GET", "/", ""))
		_, _ = b.back("/signin/callback?state=x")
		_, _ = w.Identify(bearer(adminToken))
		for range 11 {
			_, _ = w.Identify(bearer("wrong-guess-at-it"))
		}
		_ = w.redis.Close() // the tests' own cleaning closes it again
		_, _ = w.Identify(bearer(secret))

		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				name := family.GetName()
				for _, l := range m.GetLabel() {
					name += fmt.Sprintf(" %s=%s", l.GetName(), l.GetValue())
				}
				got[name] = m.GetCounter().GetValue()
			}
		}
		want := map[string]float64{
			"kisibridge_auth_total method=key outcome=ok":        1,
			"kisibridge_auth_total method=key outcome=denied":    1,
			"kisibridge_auth_total method=key outcome=failed":    1,
			"kisibridge_auth_total method=session outcome=ok":    1,
			"kisibridge_auth_total method=session outcome=csrf":  1,
			"kisibridge_auth_total method=none outcome=denied":   1,
			"kisibridge_auth_total method=oidc outcome=ok":       1,
			"kisibridge_auth_total method=oidc outcome=denied":   1,
			"kisibridge_auth_total method=token outcome=ok":      1,
			"kisibridge_auth_total method=token outcome=denied":  10,
			"kisibridge_auth_total method=token outcome=limited": 1,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("counted (-want +got):\n%s", diff)
		}
	})
}
