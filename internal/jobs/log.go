package jobs

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

// An outage knows whether Redis answered last, so that it is logged when it
// begins and when it is over, and not at every try between.
type outage struct {
	log *slog.Logger

	mu sync.Mutex // guards on
	on bool
}

// note takes the outcome of a try.
func (o *outage) note(err error) {
	o.mu.Lock()
	changed := o.on != (err != nil)
	o.on = err != nil
	o.mu.Unlock()
	switch {
	case changed && err != nil:
		o.log.Warn("Redis does not take tasks: what was woken waits", "err", err)
	case changed:
		o.log.Info("Redis takes tasks again")
	}
}

// asynqLog lets asynq speak. It says the same at every poll of every lane
// while Redis is away, so an error of a sort is let through once a minute.
type asynqLog struct {
	log *slog.Logger

	mu   sync.Mutex           // guards said
	said map[string]time.Time // the text up to its first colon → when; asynq has some twenty
}

var _ asynq.Logger = (*asynqLog)(nil)

func (l *asynqLog) Debug(args ...any) { l.log.Debug("asynq", "says", fmt.Sprint(args...)) }
func (l *asynqLog) Info(args ...any)  { l.log.Debug("asynq", "says", fmt.Sprint(args...)) }
func (l *asynqLog) Warn(args ...any)  { l.log.Debug("asynq", "says", fmt.Sprint(args...)) }
func (l *asynqLog) Fatal(args ...any) { l.log.Error("asynq", "says", fmt.Sprint(args...)) }

func (l *asynqLog) Error(args ...any) {
	text := fmt.Sprint(args...)
	sort, _, _ := strings.Cut(text, ":")
	l.mu.Lock()
	old := time.Since(l.said[sort]) > time.Minute
	if old && len(l.said) < 100 {
		l.said[sort] = time.Now()
	}
	l.mu.Unlock()
	if old {
		l.log.Warn("asynq", "says", text)
	}
}

func newAsynqLog(log *slog.Logger) *asynqLog {
	return &asynqLog{log: log, said: map[string]time.Time{}}
}
