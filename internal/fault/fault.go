// Package fault sorts errors by what is to be done about them.
//
// An error gets its class once, where it comes in: the adapters know what an
// answer of their cloud means. Everything above asks [Of] and never reads texts.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// A Class is what to do about an error.
type Class int

// The classes. The zero value is the one nobody foresaw.
const (
	Bug     Class = iota // nobody foresaw it: log it whole, answer 500, retry with back-off
	Busy                 // the other side is down or throttling, and did nothing: retry later
	Unknown              // the call may have taken effect: look before repeating it
	Invalid              // the request or a setting is wrong: say which, do not retry
	Missing              // what was asked for is not, or no longer, there
	Denied               // credentials are wrong or lack a permission: needs a person
	Clash                // somebody else changed it first: read again
)

var names = [...]string{"bug", "busy", "unknown", "invalid", "missing", "denied", "clash"}

// String is the class as logs and metrics spell it.
func (c Class) String() string {
	if c < 0 || int(c) >= len(names) {
		return "bug"
	}
	return names[c]
}

// Error is an error whose class is known.
type Error struct {
	Class Class
	Op    string        // what was tried, on what: "kisi: delete role assignment 4711"
	Hint  string        // what a person can do about it; may be empty
	After time.Duration // for Busy: how long to wait; 0 when the other side did not say
	Err   error         // the cause; may be nil
}

// Error reads as one line: what was tried, the cause, the remedy.
func (e *Error) Error() string {
	text := e.Op
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes a classified error; format and args describe the cause.
func New(class Class, op, format string, args ...any) *Error {
	return &Error{Class: class, Op: op, Err: fmt.Errorf(format, args...)}
}

// Of returns the class of the outermost classified error in err's chain,
// or Bug when there is none.
func Of(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Bug
}

// Is tells whether err is classified as class. A nil error is of no class.
func Is(err error, class Class) bool { return err != nil && Of(err) == class }

// After tells how long the other side asked to be left alone, or 0.
func After(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.After
	}
	return 0
}

// Hint tells what a person can do about err, or "".
func Hint(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Hint
	}
	return ""
}
