package access_test

import (
	"testing"

	"kisibridge/internal/access"
)

func TestOnlyMarkedWorkIsUnhurried(t *testing.T) {
	if access.IsUnhurried(t.Context()) {
		t.Error("work that was not marked is unhurried")
	}
	if !access.IsUnhurried(access.Unhurried(t.Context())) {
		t.Error("marked work is not unhurried")
	}
}
