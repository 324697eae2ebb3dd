package entra_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

// lists are the calls that are answered with a list, and how many it held.
var lists = map[string]func(context.Context, world) (int, error){
	"Changes": func(ctx context.Context, w world) (int, error) {
		c, err := w.Changes(ctx, "hq", "")
		return len(c.Joined), err
	},
	"Members": func(ctx context.Context, w world) (int, error) {
		members, people, err := w.Client.Members(ctx, "hq")
		return max(len(members), len(people)), err
	},
	"Subscriptions": func(ctx context.Context, w world) (int, error) {
		all, err := w.Client.Subscriptions(ctx)
		return len(all), err
	},
	"PeopleChanges": func(ctx context.Context, w world) (int, error) {
		c, err := w.PeopleChanges(ctx, "")
		return len(c.IDs), err
	},
	"Groups": func(ctx context.Context, w world) (int, error) {
		found, _, err := w.Client.Groups(ctx, "", "")
		return len(found), err
	},
}

// Taken for an empty list, such an answer would close the doors to everybody.
func TestAnAnswerWithoutAListIsNeverAnEmptyOne(t *testing.T) {
	for name, read := range lists {
		for _, tc := range []struct {
			status int
			body   string
		}{{200, `{}`}, {200, `{"value":null}`}, {200, `{"@odata.deltaLink":"https://graph.example/next"}`}, {200, ``}, {204, ``}} {
			t.Run(fmt.Sprint(name, " ", tc.status, " ", tc.body), func(t *testing.T) {
				w := newWorld(t, signedIn, answering(tc.status, tc.body))
				n, err := read(t.Context(), w)
				wantFault(t, err, fault.Busy, 0)
				if n > 0 {
					t.Errorf("%d were told beside the error", n)
				}
			})
		}
	}
}

func TestAnEmptyListIsOne(t *testing.T) {
	for _, name := range []string{"Members", "Subscriptions", "Groups"} {
		w := newWorld(t, signedIn, answering(http.StatusOK, `{"value":[]}`))
		if n, err := lists[name](t.Context(), w); n != 0 || err != nil {
			t.Errorf("%s: %d, error %v; want none", name, n, err)
		}
	}
}

// A group of many pages would hardly ever be read to its end if each throttle
// on the way threw away what was read.
func TestAShortWaitInTheMiddleOfAListIsWaited(t *testing.T) {
	for _, route := range []struct{ list, path string }{
		{"Changes", "GET /v1.0/groups/delta"}, {"Members", "GET /v1.0/groups/hq/members"},
	} {
		for _, tc := range []struct {
			name  string
			fault graphsim.Fault
			after time.Duration // left to the queue; 0: the list is whole
			took  time.Duration
		}{
			{"twice two seconds", graphsim.Fault{Status: 429, RetryAfter: 2, Skip: 1, Times: 2}, 0, 4 * time.Second},
			{"unavailable", graphsim.Fault{Status: 503, RetryAfter: 1, Skip: 1, Times: 1}, 0, time.Second},
			{"three times", graphsim.Fault{Status: 429, RetryAfter: 2, Skip: 1, Times: 3}, 2 * time.Second, 4 * time.Second},
			{"a long wait", graphsim.Fault{Status: 429, RetryAfter: 3, Skip: 1, Times: 1}, 3 * time.Second, 0},
			{"on the first page", graphsim.Fault{Status: 429, RetryAfter: 2, Times: 1}, 2 * time.Second, 0},
		} {
			t.Run(route.list+" "+tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, signedIn)
					w.group("hq", crowd("p", 1500)...)
					tc.fault.Route = route.path
					w.SetFault(tc.fault)
					began := time.Now()
					n, err := lists[route.list](t.Context(), w)
					if took := time.Since(began); took != tc.took {
						t.Errorf("it took %v, want %v", took, tc.took)
					}
					if tc.after > 0 {
						wantFault(t, err, fault.Busy, tc.after)
					} else if n != 1500 || err != nil {
						t.Errorf("%d were read, error %v; want 1500", n, err)
					}
				})
			})
		}
	}
}

func TestACallerWhoLeavesDuringAWaitSeesItsOwnReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, signedIn)
		w.group("hq", crowd("p", 1500)...)
		w.SetFault(graphsim.Fault{Route: "GET /v1.0/groups/hq/members", Status: 429, RetryAfter: 2, Skip: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := membersOf(ctx, w); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v; want that the deadline passed", err)
		}
	})
}

func TestALinkOfAnotherHostAsksForAResync(t *testing.T) {
	w := newWorld(t)
	w.group("hq", "ada")
	_, err := w.Changes(t.Context(), "hq", "https://graph.elsewhere.example/v1.0/groups/delta?$deltatoken=before")
	if !errors.Is(err, access.ErrResync) {
		t.Errorf("error %v; want ErrResync", err)
	}
}

func TestAGroupIsFoundHoweverItsIDIsTyped(t *testing.T) {
	const page = `{"value":[{"id":"2e58ab","displayName":"HQ doors","members@delta":[{"@odata.type":"#Microsoft.Graph.User","id":"ada"}]}],
		"@odata.deltaLink":"https://graph.example/next"}`
	w := newWorld(t, signedIn, answering(http.StatusOK, page))
	told(t, w.changes(t, "2E58AB", ""), access.Changes{Full: true, Name: "HQ doors", Joined: users("ada")})
}

// Such a page would be asked for without a token, or with one that is not for it.
func TestANextPageOfAnotherHostIsNotRead(t *testing.T) {
	w := newWorld(t, signedIn, answering(http.StatusOK, `{"value":[],"@odata.nextLink":"https://graph.elsewhere.example/v1.0/next"}`))
	for _, name := range []string{"Changes", "Members", "PeopleChanges", "Subscriptions"} {
		_, err := lists[name](t.Context(), w)
		wantFault(t, err, fault.Busy, 0)
	}
}

func TestAQuoteInAnIDEndsNoFilter(t *testing.T) {
	w := newWorld(t)
	w.group("hq", "ada")
	_, err := w.Changes(t.Context(), "ada's", "")
	wantFault(t, err, fault.Missing, 0)
}

// What cannot be read is no change: the member list is asked.
func TestMembersThatCannotBeReadAreUnsure(t *testing.T) {
	for _, members := range []string{`{}`, `"ada"`, `[{"@odata.type":"#microsoft.graph.user"}]`, `["ada"]`, `[null]`} {
		t.Run(members, func(t *testing.T) {
			page := `{"value":[{"id":"hq","displayName":"hq doors","members@delta":` + members + `}],"@odata.deltaLink":"https://graph.example/next"}`
			w := newWorld(t, signedIn, answering(http.StatusOK, page))
			told(t, w.changes(t, "hq", graphHost+"/before"), access.Changes{Name: "hq doors", Unsure: true})
		})
	}
}

func TestOneGroupIsReadByItsID(t *testing.T) {
	w := newWorld(t)
	w.group("hq", "ada")
	got, err := w.Group(t.Context(), "hq")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(access.GroupInfo{ID: "hq", Name: "hq doors"}, got); diff != "" {
		t.Errorf("group (-want +got):\n%s", diff)
	}
	_, err = w.Group(t.Context(), "nowhere")
	wantFault(t, err, fault.Missing, 0)
}
