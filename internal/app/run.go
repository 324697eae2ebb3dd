package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// A loop is something that runs until ctx ends.
type loop struct {
	name string
	run  func(ctx context.Context) error
}

// Run runs every loop until ctx ends or one of them fails, waits for the rest,
// and closes what New opened, last first. The queue goes last: while others
// finish what they have begun, it gives the signs of life for them.
func (a *App) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	last, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	a.log.Info("kisibridge runs", "loops", len(a.loops)+1)

	queue := make(chan error, 1)
	go func() { queue <- a.queue.Run(last) }()
	done := make(chan error, len(a.loops))
	for _, l := range a.loops {
		go func() {
			err := l.run(ctx)
			if err != nil {
				err = fmt.Errorf("%s: %w", l.name, err)
				cancel(err)
			}
			done <- err
		}()
	}
	<-ctx.Done()
	var err error
	for range a.loops {
		err = errors.Join(err, <-done)
	}
	end()
	err = errors.Join(err, <-queue)
	a.log.Info("kisibridge ends", "err", err)
	return errors.Join(err, a.Close())
}

// Close closes what New opened, last first. Run does it too.
func (a *App) Close() error {
	var err error
	for k := len(a.closers) - 1; k >= 0; k-- {
		err = errors.Join(err, a.closers[k]())
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

// every calls once now and at each interval, until ctx ends.
func every(ctx context.Context, interval time.Duration, once func()) error {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		once()
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}
