package fault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"kisibridge/internal/fault"
)

func TestOfFindsTheOutermostClass(t *testing.T) {
	inner := fault.New(fault.Busy, "kisi: list users", "status %d", 429)
	outer := &fault.Error{Class: fault.Denied, Op: "import", Err: inner}

	for _, tc := range []struct {
		name string
		err  error
		want fault.Class
	}{
		{"a plain error is a bug", errors.New("boom"), fault.Bug},
		{"a wrapped class is found", fmt.Errorf("pull 2e58: %w", inner), fault.Busy},
		{"the outer class covers the inner", outer, fault.Denied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := fault.Of(tc.err); got != tc.want {
				t.Errorf("Of(%v) = %v, want %v", tc.err, got, tc.want)
			}
		})
	}
}

func TestErrorSaysWhatWasTriedAndWhatToDo(t *testing.T) {
	err := error(&fault.Error{
		Class: fault.Busy, Op: "kisi: create user", Hint: "use a Kisi user of the bridge's own",
		After: time.Second, Err: errors.New("status 429"),
	})
	want := "kisi: create user: status 429 (use a Kisi user of the bridge's own)"
	if got := err.Error(); got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if got := fault.After(fmt.Errorf("apply: %w", err)); got != time.Second {
		t.Errorf("After = %v, want 1s", got)
	}
	if fault.Is(nil, fault.Bug) {
		t.Error("nil is of class Bug, want no class")
	}
	if got := fault.Class(99).String(); got != "bug" {
		t.Errorf("an unheard-of class is called %q, want bug", got)
	}
}
