package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"kisibridge/internal/fault"
)

// The exit statuses, which the manual of the root lists for scripts.
const (
	exitWell = iota
	exitWrong
	exitUsage
	exitMissing
	exitDenied
	exitClash
	exitBusy
)

// errSilent ends with status 1 when everything has been said.
var errSilent = errors.New("")

// A misuse is a mistake of the command line.
type misuse struct{ error }

func (m misuse) Unwrap() error { return m.error }

func misused(format string, args ...any) error { return misuse{fmt.Errorf(format, args...)} }

// end says what went wrong, and gives the status that tells a script.
func (p *program) end(err error) int {
	if err == nil {
		return exitWell
	}
	if !errors.Is(err, errSilent) {
		fmt.Fprintln(p.err, err)
	}
	if !p.begun { // cobra did not understand the line
		return exitUsage
	}
	return status(err)
}

func status(err error) int {
	if _, ok := errors.AsType[misuse](err); ok {
		return exitUsage
	}
	if said, ok := errors.AsType[*problem](err); ok {
		return said.status()
	}
	switch fault.Of(err) {
	case fault.Invalid:
		return exitUsage
	case fault.Missing:
		return exitMissing
	case fault.Denied:
		return exitDenied
	case fault.Clash:
		return exitClash
	case fault.Busy, fault.Unknown:
		return exitBusy
	default:
		return exitWrong
	}
}

// status sorts an answer of the API.
func (p *problem) status() int {
	switch p.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return exitUsage
	case http.StatusNotFound:
		return exitMissing
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitDenied
	case http.StatusConflict, http.StatusPreconditionFailed:
		return exitClash
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return exitBusy
	}
	return exitWrong
}

// group is a command that only has others. A word that names none of them is a
// mistake, which cobra notices at the root alone.
func group(use, short string, of ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return misused("unknown command %q; see %s --help", args[0], cmd.CommandPath())
		}
		return cmd.Help()
	}
	c.AddCommand(of...)
	return c
}
