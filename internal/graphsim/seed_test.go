package graphsim

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestASeededTenantIsTheSameEachTime(t *testing.T) {
	a, b := newWorld(t, Options{}), newWorld(t, Options{})
	a.Seed(300, 14)
	b.Seed(300, 14)
	if diff := cmp.Diff(a.get("/_sim/state").body, b.get("/_sim/state").body); diff != "" {
		t.Errorf("state (-first +second):\n%s", diff)
	}
	groups := a.Groups()
	if got := []string{groups[0].DisplayName, groups[12].DisplayName}; got[0] != "HQ doors" || got[1] != "HQ doors 2" {
		t.Errorf("the groups begin with %q", got)
	}
}

func TestSeededPeopleHaveNamesOfTheirOwn(t *testing.T) {
	w := newWorld(t, Options{})
	w.Seed(6000, 12)
	names, other, without, guests := map[string]bool{}, 0, 0, 0
	for i := range 6000 {
		u, _ := w.User(seedID("user", i))
		names[u.UserPrincipalName] = true
		switch {
		case u.Mail == nil:
			without++
		case *u.Mail != u.UserPrincipalName:
			other++
		}
		if u.UserType == "Guest" {
			guests++
		}
	}
	if len(names) != 6000 || without == 0 || guests == 0 || other == 0 || other+without > 600 {
		t.Errorf("%d names, %d without mail, %d with another, %d guests", len(names), without, other, guests)
	}
	for _, g := range w.Groups() {
		if n := len(w.Members(g.ID)); n < 500 || n > 700 {
			t.Errorf("%s has %d members, want about 570", g.DisplayName, n)
		}
	}
}

func TestMistakesOfATestAreTold(t *testing.T) {
	w := newWorld(t, Options{})
	*w.breach = true
	w.AddGroup("hq", "HQ")
	w.Join("lab", "ada")
	w.Join("hq", "ada")
	w.UpdateUser("ada", func(*User) {})
	w.RemoveSubscription("x", false)
	w.SendLifecycle("x", "missed")
	if got := len(w.Violations()); got != 5 {
		t.Errorf("%d mistakes were told, want 5: %v", got, w.Violations())
	}
}

// large makes a tenant with one group of n people, and their ids.
func large(b *testing.B, n, pageSize int) (*Server, []string) {
	s := New(Options{PageSize: pageSize})
	b.Cleanup(s.Close)
	ids := make([]string, n)
	for i := range ids {
		u := seedUser(i)
		s.AddUser(u)
		ids[i] = u.ID
	}
	s.AddGroup("hq", "HQ doors")
	slices.Sort(ids)
	s.Join("hq", ids...)
	return s, ids
}

// BenchmarkReading reads a group of 50,000 people, once an iteration.
func BenchmarkReading(b *testing.B) {
	for name, link := range map[string]string{
		"delta":   graphHost + "/v1.0/groups/delta?$select=id,members",
		"members": graphHost + "/v1.0/groups/hq/members?$top=999&$select=id,userPrincipalName,mail,accountEnabled",
	} {
		for _, size := range []int{100, 2000} {
			b.Run(fmt.Sprintf("%s/page=%d", name, size), func(b *testing.B) {
				s, ids := large(b, 50_000, size)
				for b.Loop() {
					if got := readAll(b, s, link); got != len(ids) {
						b.Fatalf("read %d members, want %d", got, len(ids))
					}
				}
			})
		}
	}
}

// readAll follows a list to its end and counts the people by their types.
func readAll(b *testing.B, s *Server, link string) (people int) {
	client, token := RoundTripper(s), s.Token()
	for link != "" {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, link, nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		people += bytes.Count(text, []byte(`"#microsoft.graph.user"`))
		link = ""
		if _, after, more := bytes.Cut(text, []byte(`"@odata.nextLink":"`)); more {
			next, _, _ := bytes.Cut(after, []byte(`"`))
			link = string(next)
		}
	}
	return people
}
