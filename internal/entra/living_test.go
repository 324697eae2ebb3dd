package entra_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

func TestTheLivingAreToldFromTheDeletedAThousandAtATime(t *testing.T) {
	w := newWorld(t)
	var ids []string
	want := map[string]bool{}
	for n := range 1001 {
		id := fmt.Sprintf("p%04d", n)
		w.AddUser(graphsim.User{ID: id, DisplayName: id, UserPrincipalName: id + "@contoso.example", AccountEnabled: true})
		ids = append(ids, id)
		want[id] = true
	}
	w.DeleteUser("p0007")
	delete(want, "p0007")
	got, err := w.Living(t.Context(), append(ids, "nobody"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("living (-want +got):\n%s", diff)
	}
	if n := w.Calls("POST /v1.0/directoryObjects/getByIds"); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}

func TestWhoCannotBeAskedAboutIsNotTakenForDeleted(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	w.SetFault(graphsim.Fault{Route: "POST /v1.0/directoryObjects/getByIds", Status: http.StatusServiceUnavailable})
	if got, err := w.Living(t.Context(), []string{"ada"}); !fault.Is(err, fault.Busy) || got != nil {
		t.Errorf("got %v, %v; want it said that Graph is busy", got, err)
	}
}
