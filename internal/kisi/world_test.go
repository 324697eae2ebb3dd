package kisi_test

import (
	"fmt"
	"net/http"
	"testing"

	"kisibridge/internal/access"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisi"
	"kisibridge/internal/kisisim"
)

// organization is a Kisi that fails the test at once when the contract is
// broken, and a client of it.
func organization(t *testing.T, o kisisim.Options) (*kisisim.Server, *kisi.Client) {
	t.Helper()
	if o.Rate == 0 {
		o.Rate = -1 // a limiter keeps the rate; here is none
	}
	o.Violation = func(what string) { t.Errorf("Kisi's contract is broken: %s", what) }
	sim := kisisim.New(o)
	return sim, client(t, kisi.Options{APIKey: kisisim.DefaultAPIKey, Transport: graphsim.RoundTripper(sim)})
}

// optionsOf are those of a client that is carried by tr.
func optionsOf(tr http.RoundTripper) kisi.Options {
	return kisi.Options{APIKey: kisisim.DefaultAPIKey, Transport: tr}
}

func client(t *testing.T, o kisi.Options) *kisi.Client {
	t.Helper()
	c, err := kisi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// meanwhile does something after the first page of a list was answered.
func meanwhile(sim http.Handler, do func()) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		res, err := graphsim.RoundTripper(sim).RoundTrip(r)
		if r.URL.Query().Get("offset") == "0" {
			do()
		}
		return res, err
	})
}

// populate makes n users who open the doors of group.
func populate(sim *kisisim.Server, group, n int) {
	for k := range n {
		user := sim.AddUser(fmt.Sprintf("p%05d@contoso.example", k), fmt.Sprintf("Person %d", k))
		sim.AddAssignment(kisisim.Assignment{AppliesToID: group, AssigneeID: user})
	}
}

func group(id int) access.Target {
	return access.Target{Connection: "acme", Type: access.TargetGroup, ID: id}
}

func team(id int) access.Target {
	return access.Target{Connection: "acme", Type: access.TargetTeam, ID: id}
}
