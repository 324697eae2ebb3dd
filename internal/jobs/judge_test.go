package jobs

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"kisibridge/internal/fault"
)

func TestBackOffDoublesToALimit(t *testing.T) {
	const s = time.Second
	busy, unknown := fault.New(fault.Busy, "kisi", "503"), fault.New(fault.Unknown, "kisi", "timeout")
	for _, tc := range []struct {
		err  error
		n    int
		want time.Duration // and up to a fifth more
	}{
		{busy, 0, s},
		{busy, 5, 32 * s},
		{busy, 6, 60 * s},
		{busy, 1000, 60 * s},
		{unknown, 0, 2 * s},
		{unknown, 4, 32 * s},
		{unknown, 5, 60 * s},
		{errors.New("boom"), 0, s},
		{errors.New("boom"), 9, 512 * s},
		{errors.New("boom"), 10, 600 * s},
		{&fault.Error{Class: fault.Busy, Op: "kisi", After: time.Hour}, 3, time.Hour},
	} {
		t.Run(fmt.Sprint(tc.err, tc.n), func(t *testing.T) {
			if v := judge(tc.err, tc.n); !v.retry || v.after < tc.want || v.after > tc.want*6/5 {
				t.Errorf("judged %+v, want a retry after %v or a fifth more", v, tc.want)
			}
		})
	}
}

func TestTroublesAreBounded(t *testing.T) {
	kept := &troubles{of: map[string]*trouble{}}
	for k := range mostTroubles + 500 {
		kept.add(fmt.Sprint(k), errors.New("boom"))
	}
	if n := len(kept.of); n > mostTroubles {
		t.Errorf("%d failures remembered, want at most %d", n, mostTroubles)
	}
}
