package entra_test

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

func TestGroupsAreFoundByAWordOfTheirName(t *testing.T) {
	w := newWorld(t)
	for id, name := range map[string]string{"1": "HQ doors", "2": "Laboratory", "3": "Old hq"} {
		w.AddGroup(id, name)
	}
	hq := []access.GroupInfo{{ID: "1", Name: "HQ doors"}, {ID: "3", Name: "Old hq"}}
	for _, tc := range []struct {
		query string
		want  []access.GroupInfo
	}{
		{"hq", hq},
		{` "HQ" `, hq}, // quotes would end the search
		{"labor", []access.GroupInfo{{ID: "2", Name: "Laboratory"}}},
		{"cellar", nil},
		{"", []access.GroupInfo{hq[0], {ID: "2", Name: "Laboratory"}, hq[1]}},
	} {
		got, next, err := w.Client.Groups(t.Context(), tc.query, "")
		if err != nil || next != "" {
			t.Errorf("search %q: a cursor %q, error %v; want the only page", tc.query, next, err)
		}
		slices.SortFunc(got, func(a, b access.GroupInfo) int { return strings.Compare(a.ID, b.ID) })
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("search %q (-want +got):\n%s", tc.query, diff)
		}
	}
}

func TestAllGroupsAreListedTwentyFiveAPage(t *testing.T) {
	for _, query := range []string{"", "doors"} {
		w := newWorld(t)
		ids := crowd("g", 51)
		for _, id := range ids {
			w.AddGroup(id, "Doors of "+id)
		}
		var sizes []int
		var got []string
		for cursor, more := "", true; more; more = cursor != "" {
			page, next, err := w.Client.Groups(t.Context(), query, cursor)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range page {
				got = append(got, g.ID)
			}
			sizes, cursor = append(sizes, len(page)), next
		}
		if diff := cmp.Diff([]int{25, 25, 1}, sizes); diff != "" {
			t.Errorf("search %q: pages (-want +got):\n%s", query, diff)
		}
		if diff := cmp.Diff(ids, got); diff != "" {
			t.Errorf("search %q: groups (-want +got):\n%s", query, diff)
		}
	}
}

// A cursor comes from outside, and a link is followed with our token.
func TestACursorLeadsToTheListOfGroupsAndNowhereElse(t *testing.T) {
	w := newWorld(t, func(s *setup) {
		s.via = func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				t.Errorf("%s was called", r.URL)
				return nil, http.ErrHandlerTimeout
			})
		}
	})
	for _, link := range []string{
		"https://elsewhere.example/v1.0/groups?$skiptoken=1", "http://graph.example/v1.0/groups", "https://graph.example:8443/v1.0/groups",
		"https://ada@graph.example/v1.0/groups", "https://graph.example/v1.0/users", "https://graph.example/v1.0/groups/../users", "/v1.0/groups", ":",
	} {
		_, _, err := w.Client.Groups(t.Context(), "", base64.RawURLEncoding.EncodeToString([]byte(link)))
		wantFault(t, err, fault.Invalid, 0)
	}
	_, _, err := w.Client.Groups(t.Context(), "", "no cursor!")
	wantFault(t, err, fault.Invalid, 0)
}
