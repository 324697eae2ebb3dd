package rest_test

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/api"
)

const newKey = `{"name":"ci","role":"viewer"}`

func TestTheSameCallTwiceGetsTheFirstAnswer(t *testing.T) {
	w := newWorld(t)
	first := w.want(201, "POST", "/v1/keys", newKey, "Idempotency-Key", "one")
	again := w.want(201, "POST", "/v1/keys", newKey, "Idempotency-Key", "one")
	if diff := cmp.Diff(first.Body.String(), again.Body.String()); diff != "" {
		t.Errorf("answers (-first +again):\n%s", diff)
	}
	if first.Header().Get("Location") != again.Header().Get("Location") {
		t.Errorf("Location is %q at first and %q again", first.Header().Get("Location"), again.Header().Get("Location"))
	}
	if first.Header().Get("X-Request-ID") == again.Header().Get("X-Request-ID") {
		t.Error("both calls have one X-Request-ID")
	}
}

func TestAKeyUsedForAnotherCallIsRefused(t *testing.T) {
	w := newWorld(t)
	w.want(201, "POST", "/v1/keys", newKey, "Idempotency-Key", "one")
	w.want(422, "POST", "/v1/keys", `{"name":"cd","role":"viewer"}`, "Idempotency-Key", "one")
	w.want(422, "POST", "/v1/queues/dead", "", "Idempotency-Key", "one")
}

func TestCallersDoNotShareIdempotencyKeys(t *testing.T) {
	w := newWorld(t)
	w.integration("hq", 1, "ada")
	w.want(202, "POST", "/v1/integrations/hq/sync", "", "Idempotency-Key", "one")
	rec := w.do(request{method: "POST", path: "/v1/integrations/hq/sync", role: "operator", header: map[string]string{"Idempotency-Key": "one"}})
	if got := read[api.Run](t, rec); got.By != "key the operator" {
		t.Errorf("the operator's run is by %q", got.By)
	}
}

func TestACallThatFailedMayBeMadeAgain(t *testing.T) {
	w := newWorld(t)
	w.group("lab", 2, "ada")
	w.want(422, "POST", "/v1/integrations", noGroup, "Idempotency-Key", "one")
	w.group("nowhere", 3)
	w.want(201, "POST", "/v1/integrations", noGroup, "Idempotency-Key", "one")
}

// The process of the first try dies after the integration is stored and before
// it is started: the second try makes no other.
func TestACreationThatWasCutOffIsNotMadeTwice(t *testing.T) {
	w := newWorld(t)
	w.group("lab", 2, "ada")
	broken := &breaker{at: "kb:{events}"}
	w.redis.AddHook(broken)
	broken.arm()
	w.want(503, "POST", "/v1/integrations", goodIntegration, "Idempotency-Key", "one")
	w.want(201, "POST", "/v1/integrations", goodIntegration, "Idempotency-Key", "one")
	if got := read[api.IntegrationPage](t, w.want(200, "GET", "/v1/integrations", "")); len(got.Items) != 1 {
		t.Errorf("there are %d integrations, want 1", len(got.Items))
	}
}

func TestOfCallsAtOnceOneIsCarriedOut(t *testing.T) {
	w := newWorld(t)
	var wait sync.WaitGroup
	answers := make([]*httptest.ResponseRecorder, 8)
	for k := range answers {
		wait.Go(func() {
			answers[k] = w.do(request{method: "POST", path: "/v1/keys", body: newKey, role: "admin", header: map[string]string{"Idempotency-Key": "one"}})
		})
	}
	wait.Wait()
	made := map[string]bool{}
	for _, rec := range answers {
		switch rec.Code {
		case 201:
			made[rec.Body.String()] = true
		case 409:
		default:
			t.Errorf("an answer is %d: %s", rec.Code, rec.Body)
		}
	}
	if len(made) != 1 {
		t.Errorf("%d keys are made, want 1", len(made))
	}
}

func TestAnAnswerIsKeptForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.integration("hq", 1, "ada")
		sync := func() string {
			return read[api.Run](t, w.want(202, "POST", "/v1/integrations/hq/sync", "", "Idempotency-Key", "one")).ID
		}
		first := sync()
		time.Sleep(23 * time.Hour)
		if again := sync(); again != first {
			t.Errorf("after 23 hours the run is %s, want %s", again, first)
		}
		time.Sleep(2 * time.Hour)
		if later := sync(); later == first {
			t.Error("after 25 hours the run is still the first")
		}
	})
}

func TestNoSecretIsReadableInRedis(t *testing.T) {
	w := newWorld(t)
	rec := w.want(201, "POST", "/v1/keys", newKey, "Idempotency-Key", "one")
	secret := read[api.KeyCreated](t, rec).Secret
	for _, key := range w.redis.Keys(t.Context(), "kb:{reply:*").Val() {
		for field, value := range w.redis.HGetAll(t.Context(), key).Val() {
			if strings.Contains(value, secret) {
				t.Errorf("%s %s holds the secret", key, field)
			}
		}
	}
}
