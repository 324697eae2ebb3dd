package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"kisibridge/internal/app"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
)

const adminToken = "an-admin-token-for-stories"

// withAPI gives the world what the API needs.
func withAPI(w *world) {
	w.env = append(w.env, "KISIBRIDGE_ADMIN_TOKEN="+adminToken, "KISIBRIDGE_SECRET_KEY="+strings.Repeat("A", 43)+"=")
}

// ask makes a call of the API and reads its answer.
func (w *world) ask(method, path, body string, want int) map[string]any {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+adminToken)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer := httptest.NewRecorder()
	w.app.Handler().ServeHTTP(answer, r)
	if answer.Code != want {
		w.t.Fatalf("%s %s: %d %s, want %d", method, path, answer.Code, answer.Body, want)
	}
	var out map[string]any
	if answer.Body.Len() > 0 && json.Unmarshal(answer.Body.Bytes(), &out) != nil {
		out = map[string]any{"text": answer.Body.String()}
	}
	return out
}

func TestAnIntegrationIsRunThroughTheAPI(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t, withAPI)
		w.person("ada", "bob")
		w.join("hq", "ada", "bob")
		body := fmt.Sprintf(`{"name":"HQ","entra_connection_id":%q,"entra_group_id":"hq","kisi_connection_id":%q,"target":{"type":"group","id":%d},"removal_limit":{"count":0,"percent":0}}`,
			graphsim.DefaultTenant, app.KisiConnection, w.rules["hq"].kisi)
		if p := w.ask("POST", "/v1/integrations/preview", body, http.StatusOK); fmt.Sprint(p["counts"].(map[string]any)["add"]) != "2" {
			t.Errorf("the preview is %v, want two to add", p)
		}
		id := w.ask("POST", "/v1/integrations", body, http.StatusCreated)["id"].(string)
		w.settle()
		w.wantDoors("hq", "ada", "bob")

		w.leave("hq", "bob")
		w.settle()
		if h := w.ask("GET", "/v1/integrations/"+id+"/hold", "", http.StatusOK); fmt.Sprint(h["count"]) != "1" {
			t.Errorf("the hold is %v, want bob's", h)
		}
		w.ask("POST", "/v1/integrations/"+id+"/hold/approve", "", http.StatusAccepted)
		w.settle()
		w.wantDoors("hq", "ada")
		w.ask("DELETE", "/v1/integrations/"+id, "", http.StatusAccepted)
		w.after(20 * time.Second)
		w.wantDoors("hq")
		w.ask("GET", "/v1/integrations/"+id, "", http.StatusNotFound)
	})
}

func TestAKeyOfKisiIsTriedSealedAndNeverShown(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t, withAPI)
		for _, bad := range []string{`{"kind":"kisi","name":"x","api_key":"wrong"}`, `{"kind":"kisi","name":"x","api_key":""}`} {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/connections", strings.NewReader(bad))
			r.Header.Set("Authorization", "Bearer "+adminToken)
			r.Header.Set("Content-Type", "application/json")
			answer := httptest.NewRecorder()
			w.app.Handler().ServeHTTP(answer, r)
			if answer.Code != http.StatusUnprocessableEntity && answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), "api_key") {
				t.Errorf("%s: %d %s, want the field named", bad, answer.Code, answer.Body)
			}
		}
		made := w.ask("POST", "/v1/connections", `{"kind":"kisi","name":"Second","api_key":"`+kisisim.DefaultAPIKey+`"}`, http.StatusCreated)
		text, err := w.redis.HGet(t.Context(), "kb:{connections}:stored", made["id"].(string)).Result()
		if err != nil || strings.Contains(text, kisisim.DefaultAPIKey) || strings.Contains(fmt.Sprint(made), kisisim.DefaultAPIKey) {
			t.Errorf("stored %s, shown %v, %v; want the key nowhere", text, made, err)
		}
		w.ask("DELETE", "/v1/connections/"+made["id"].(string), "", http.StatusNoContent)
	})
}

func TestConsentThatWasRefusedForgedOrUsedConnectsNothing(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t, withAPI)
		states := 0
		state := func() string { // there is no page of Microsoft's here, but its way back is ours
			states++
			s := fmt.Sprint("state", states)
			w.must(w.app.Store().SaveConsent(t.Context(), s, "token bootstrap"))
			return s
		}
		back := func(q url.Values) *httptest.ResponseRecorder {
			answer := httptest.NewRecorder()
			w.app.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/oauth/entra/callback?"+q.Encode(), http.NoBody))
			return answer
		}
		used := state()
		for name, q := range map[string]url.Values{
			"forged":           {"state": {"made up"}, "tenant": {graphsim.DefaultTenant}, "admin_consent": {"True"}},
			"refused":          {"state": {used}, "error": {"access_denied"}, "error_description": {"<script>alert(1)</script>"}, "admin_consent": {"True"}},
			"no tenant":        {"state": {state()}, "tenant": {"../common"}},
			"another's tenant": {"state": {state()}, "tenant": {"11111111-2222-4333-8444-555555555555"}},
		} {
			answer := back(q)
			if answer.Code < 400 || answer.Code > 499 || strings.Contains(answer.Body.String(), "<script>") {
				t.Errorf("%s: %d %s, want it refused in plain words", name, answer.Code, answer.Body)
			}
		}
		if answer := back(url.Values{"state": {used}, "tenant": {graphsim.DefaultTenant}}); answer.Code != http.StatusForbidden {
			t.Errorf("a state used twice: %d, want 403", answer.Code)
		}
		all, err := w.app.Store().Connections(t.Context())
		if err != nil || len(all) != 0 {
			t.Errorf("connected are %v, %v; want none", all, err)
		}
		if answer := back(url.Values{"state": {state()}, "tenant": {graphsim.DefaultTenant}, "admin_consent": {"True"}}); answer.Code != http.StatusOK {
			t.Errorf("consent: %d %s, want 200", answer.Code, answer.Body)
		}
	})
}
