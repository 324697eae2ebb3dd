package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/store"
)

// etag names a value as it is stored, in the form of RFC 9110, 8.8.3.
func etag(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte(err.Error()) // none of what is stored
	}
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// etagOf names an integration, but for what changes without being a change.
func etagOf(i access.Integration) string {
	i.Unsettled = false
	return etag(i)
}

// etagOfConnection leaves out what a check finds.
func etagOfConnection(c store.Connection) string {
	c.Checked, c.Trouble = time.Time{}, ""
	return etag(c)
}

// matches refuses what the caller did not see; no If-Match asks for nothing.
func matches(ifMatch *string, tag, what string) error {
	if ifMatch == nil || *ifMatch == "*" {
		return nil
	}
	for one := range strings.SplitSeq(*ifMatch, ",") {
		if strings.TrimSpace(one) == tag {
			return nil
		}
	}
	return stale(what)
}

func stale(what string) error {
	return &refusal{
		status: http.StatusPreconditionFailed, detail: what + " changed since it was read with that ETag",
		hint: "read it again, and repeat the call with the new ETag",
	}
}
