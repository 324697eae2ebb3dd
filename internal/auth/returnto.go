package auth

import (
	"net/url"
	"strings"

	"kisibridge/internal/fault"
)

// longestReturn bounds what is stored for whoever asks to sign in.
const longestReturn = 2048

// ReturnTo checks where a browser is to be sent after a sign-in: a path of
// ours, never another site. "" is the front page.
func ReturnTo(path string) (string, error) {
	if path == "" {
		return "/", nil
	}
	u, err := url.Parse(path)
	switch {
	case err != nil, len(path) > longestReturn,
		// What browsers take for the beginning of a host: //, and \ as /.
		!strings.HasPrefix(path, "/"), strings.HasPrefix(path, "//"), strings.Contains(path, `\`),
		// They drop tabs and line ends before they read it.
		strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f }),
		u.Scheme != "", u.Host != "", u.User != nil:
		return "", &fault.Error{
			Class: fault.Invalid, Op: "sign in", Err: errNotLocal{},
			Hint: "return_to is a path of this server, such as /integrations",
		}
	}
	return path, nil
}

// errNotLocal does not repeat the address: it would stand on a page of ours.
type errNotLocal struct{}

func (errNotLocal) Error() string { return "return_to leads elsewhere" }
