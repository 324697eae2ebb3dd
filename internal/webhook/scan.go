package webhook

import (
	"bytes"
	"encoding/json"
)

// The bodies are read by hand: encoding/json looks at every byte twice and
// takes four times as long (measured), which is most of what a batch costs. What
// counts as JSON is the same, and a fuzz test holds the two side by side.

// maxDepth is how deep values may lie in each other, as in encoding/json.
const maxDepth = 10000

// parse hands every item of a body to item, which must not keep it. It is
// false when the body is not JSON or has no array "value"; an item of a wrong
// shape is marked and does no harm to the others.
func parse(body []byte, item func(*notice)) bool {
	s := scanner{b: body}
	listed := false
	var n notice
	one := func() bool {
		n = notice{}
		ok := s.notice(&n)
		if ok {
			item(&n)
		}
		return ok
	}
	ok := s.peek() == '{' && s.object(func(key []byte) bool {
		if listed || string(key) != "value" || s.peek() != '[' {
			return s.skip()
		}
		listed = true
		return s.array(one)
	})
	return ok && listed && s.end()
}

// notice reads one item.
func (s *scanner) notice(n *notice) bool {
	if s.peek() != '{' {
		n.malformed = true
		return s.skip()
	}
	return s.object(func(key []byte) bool {
		switch string(key) {
		case "subscriptionId":
			return s.text(&n.subscription, n)
		case "clientState":
			return s.text(&n.clientState, n)
		case "tenantId":
			return s.text(&n.tenant, n)
		case "resource":
			return s.text(&n.resource, n)
		case "lifecycleEvent":
			return s.text(&n.event, n)
		case "resourceData":
			return s.resourceData(n)
		}
		return s.skip()
	})
}

func (s *scanner) resourceData(n *notice) bool {
	if c := s.peek(); c != '{' {
		n.malformed = n.malformed || c != 'n'
		return s.skip()
	}
	return s.object(func(key []byte) bool {
		// Only the time is wanted, and no item is bad for the lack of it.
		if string(key) == "eventTime" && s.peek() == '"' {
			return s.text(&n.eventTime, n)
		}
		return s.skip()
	})
}

// text reads a string or null; anything else makes the item malformed.
func (s *scanner) text(into *[]byte, n *notice) bool {
	c := s.peek()
	if c != '"' {
		*into = nil
		n.malformed = n.malformed || c != 'n'
		return s.skip()
	}
	var ok bool
	*into, ok = s.str()
	return ok
}

// A scanner walks over JSON. Its methods are false where the text is broken.
type scanner struct {
	b     []byte
	i     int
	depth int
}

// peek skips white space and looks at the next byte; 0 is the end.
func (s *scanner) peek() byte {
	for ; s.i < len(s.b); s.i++ {
		if c := s.b[s.i]; c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
	}
	return 0
}

// take skips white space and the byte c.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || s.end() {
		return false
	}
	s.i++
	return true
}

// end tells whether nothing but white space is left.
func (s *scanner) end() bool { return s.peek() == 0 && s.i >= len(s.b) }

// object calls member at the value of each key, which member must pass.
func (s *scanner) object(member func(key []byte) bool) bool {
	return s.list('{', '}', func() bool {
		if s.peek() != '"' {
			return false
		}
		key, ok := s.str()
		return ok && s.take(':') && member(key)
	})
}

// array calls element at each element, which element must pass.
func (s *scanner) array(element func() bool) bool { return s.list('[', ']', element) }

func (s *scanner) list(open, shut byte, part func() bool) bool {
	if s.depth++; s.depth > maxDepth || !s.take(open) {
		return false
	}
	defer func() { s.depth-- }()
	if s.take(shut) {
		return true
	}
	for part() {
		if s.take(shut) {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
	return false
}

// skip passes any value.
func (s *scanner) skip() bool {
	switch s.peek() {
	case '"':
		_, ok := s.plain()
		return ok
	case '{':
		return s.object(func([]byte) bool { return s.skip() })
	case '[':
		return s.array(s.skip)
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) word(w string) bool {
	if !bytes.HasPrefix(s.b[s.i:], []byte(w)) {
		return false
	}
	s.i += len(w)
	return true
}

// str reads a string; the text is a part of the body where it can be.
func (s *scanner) str() ([]byte, bool) {
	from := s.i
	escaped, ok := s.plain()
	if !ok || !escaped {
		return s.b[from+1 : max(from+1, s.i-1)], ok
	}
	var text string
	err := json.Unmarshal(s.b[from:s.i], &text)
	return []byte(text), err == nil
}

// plain passes a string and tells whether it has escapes.
func (s *scanner) plain() (escaped, ok bool) {
	for i, b := s.i+1, s.b; ; {
		for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' ' {
			i++
		}
		switch {
		case i == len(b) || b[i] < ' ':
			return escaped, false
		case b[i] == '"':
			s.i = i + 1
			return escaped, true
		}
		n := escape(b[i:])
		if n == 0 {
			return true, false
		}
		escaped = true
		i += n
	}
}

// escape is the length of the escape that b begins with; 0 is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != 'u' {
		if bytes.IndexByte([]byte(`"\/bfnrt`), b[1]) < 0 {
			return 0
		}
		return 2
	}
	if len(b) < 6 {
		return 0
	}
	for _, c := range b[2:6] {
		if !digit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return 0
		}
	}
	return 6
}

// number passes -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *scanner) number() bool {
	s.sign("-")
	zero := s.next() == '0'
	if n := s.digits(); n == 0 || zero && n > 1 {
		return false
	}
	if s.next() == '.' {
		s.i++
		if s.digits() == 0 {
			return false
		}
	}
	if s.next()|0x20 == 'e' {
		s.i++
		s.sign("+-")
		return s.digits() > 0
	}
	return true
}

func (s *scanner) next() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) sign(of string) {
	if c := s.next(); c != 0 && bytes.IndexByte([]byte(of), c) >= 0 {
		s.i++
	}
}

func (s *scanner) digits() (n int) {
	for digit(s.next()) {
		s.i++
		n++
	}
	return n
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
