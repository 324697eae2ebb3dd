package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"kisibridge/internal/fault"
)

// A loop is something that runs until ctx ends.
type loop struct {
	name string
	run  func(ctx context.Context) error
}

// Run runs every loop until ctx ends or one of them fails; then it stops them,
// shift by shift, waits for each, and closes what New opened, last first.
func (a *App) Run(ctx context.Context) error {
	ctx, fail := context.WithCancel(ctx)
	defer fail()
	for _, setting := range a.missing {
		a.log.Warn("a connection is missing, so that there is little to do", "setting", setting)
	}
	a.log.Info("kisibridge runs")

	var ends []func() error
	for _, loops := range a.shifts {
		ends = append(ends, begin(context.WithoutCancel(ctx), loops, fail))
	}
	<-ctx.Done()
	var err error
	for _, end := range ends {
		err = errors.Join(err, end())
	}
	err = errors.Join(err, a.Close())
	a.log.Info("kisibridge ends", "err", err)
	return err
}

// begin starts loops; the first that fails calls fail. end stops and awaits them.
func begin(ctx context.Context, loops []loop, fail func()) (end func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, len(loops))
	for _, l := range loops {
		go func() {
			err := l.run(ctx)
			if err != nil {
				err = fmt.Errorf("%s: %w", l.name, err)
				fail()
			}
			done <- err
		}()
	}
	return func() error {
		cancel()
		var err error
		for range loops {
			err = errors.Join(err, <-done)
		}
		return err
	}
}

// Close closes what New opened, last first. Run does it too.
func (a *App) Close() error {
	var err error
	for _, v := range slices.Backward(a.closers) {
		err = errors.Join(err, v())
	}
	a.closers = nil
	return err
}

// closeListener is needed where Run was never called; the server closes it else.
func (a *App) closeListener() error {
	if err := a.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// every calls once now and at each interval, until it is done or ctx ends.
func every(ctx context.Context, interval time.Duration, once func() (done bool, err error)) error {
	t := time.NewTicker(interval)
	defer t.Stop()
	for ctx.Err() == nil {
		if done, err := once(); done {
			return err
		}
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
	return nil
}

// changes logs a failure that repeats itself when it begins and when it is over.
type changes struct {
	log     *slog.Logger
	message string
	failing bool
}

func (c *changes) tell(ctx context.Context, err error) {
	if ctx.Err() != nil || (err != nil) == c.failing {
		return
	}
	if c.failing = err != nil; !c.failing {
		c.log.Info("trouble is over", "what", c.message)
		return
	}
	c.log.Warn("trouble", "what", c.message, "class", fault.Of(err).String(), "err", err)
}
