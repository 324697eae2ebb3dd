package webhook

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"
)

// maxToken bounds the token that is sent back. Graph's are a few hundred bytes.
const maxToken = 4096

// validation tells whether Graph asks if the endpoint is ours, as it does for
// each address while it makes a subscription, and with which status to answer.
func validation(r *http.Request) (token string, asked bool, code int) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch token = query.Get("validationToken"); {
	case err != nil:
		return "", true, http.StatusBadRequest
	case !query.Has("validationToken"):
		return "", false, 0
	case token == "" || len(token) > maxToken:
		return "", true, http.StatusBadRequest
	}
	return token, true, http.StatusOK
}

// confirm sends the token back as it came: opaque, and never a page.
func confirm(c echo.Context, token string) error {
	c.Response().Header().Set(echo.HeaderXContentTypeOptions, "nosniff")
	return c.Blob(http.StatusOK, echo.MIMETextPlain, []byte(token))
}
