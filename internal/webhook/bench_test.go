package webhook_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"kisibridge/internal/access"
	"kisibridge/internal/webhook"
)

func BenchmarkNotification1(b *testing.B)   { benchmark(b, 1) }
func BenchmarkNotification100(b *testing.B) { benchmark(b, 100) }

// benchmark posts bodies of n items to a handler whose wakes cost nothing.
func benchmark(b *testing.B, n int) {
	w := newWorld(b)
	e := echo.New()
	webhook.New(webhook.Options{
		Wake:          func(context.Context, ...access.Wake) error { return nil },
		Subscriptions: w.subscriptions,
	}).Register(e)
	text := body(slices.Repeat([]string{hqChanged()}, n)...)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, notices, strings.NewReader(text))
		r.Header.Set(echo.HeaderContentType, jsonType)
		answer := httptest.NewRecorder()
		e.ServeHTTP(answer, r)
		if answer.Code != http.StatusAccepted {
			b.Fatal(answer.Code)
		}
	}
}
