package app

import (
	"io"
	"log/slog"
)

// NewLog makes the log: JSON, one line an event, from a level of
// [Config.LogLevel] up. Everywhere the same keys name the same things:
// integration, group, person, target, run; and err, class, for what failed.
func NewLog(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // Load has refused any other word
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}
