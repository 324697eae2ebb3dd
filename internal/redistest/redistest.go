// Package redistest gives tests a Redis: one in memory that runs in virtual
// time, and a real redis-server where the machine has one.
package redistest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Memory returns a client of an empty Redis in memory. It opens no socket, so
// that it works inside a testing/synctest bubble, where keys expire as the
// bubble's clock moves.
func Memory(t testing.TB) *redis.Client {
	t.Helper()
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	c := redis.NewClient(&redis.Options{
		Addr:   "127.0.0.1:6379", // never dialled; a name would be looked up in the DNS
		Dialer: func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
		// Whoever waits for a connection borrows a timer that bubbles would share.
		PoolSize: 500,
		// The upgrade probe holds a lock across network calls, which stops a bubble's clock.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() {
		_ = c.Close() // nobody is left to hear of it
		m.Close()
	})
	return c
}

// Each runs test on a Redis in memory and on a real redis-server.
func Each(t *testing.T, test func(t *testing.T, c *redis.Client)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, Memory(t)) })
	t.Run("redis-server", func(t *testing.T) {
		c := redis.NewClient(&redis.Options{Addr: Start(t).Addr})
		t.Cleanup(func() { _ = c.Close() })
		test(t, c)
	})
}

// A Server is a redis-server process of the test's own.
type Server struct {
	Addr string
	Dir  string
	args []string
	cmd  *exec.Cmd
}

// Start starts a redis-server in a folder of its own, on a free port of the
// loopback, with extra arguments such as "--appendonly", "yes". It skips the
// test, aloud, where redis-server is not installed.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed (apt-get install redis-server); the real Redis is not tested")
	}
	s := &Server{Addr: "127.0.0.1:" + strconv.Itoa(freePort(t)), Dir: t.TempDir(), args: args}
	s.Run(t)
	t.Cleanup(s.Kill)
	return s
}

// Run starts the process again after [Server.Kill], on the same address and data.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.Addr)
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--daemonize", "no"}, s.args...)
	s.cmd = exec.Command("redis-server", args...)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start redis-server: %v", err)
	}
	s.await(t)
}

// Kill ends the process at once, as a crash would.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill() // gone already is as good
	_ = s.cmd.Wait()         // says "killed", which it was
	s.cmd = nil
}

func (s *Server) await(t testing.TB) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr, DialTimeout: time.Second, MaxRetries: -1})
	defer c.Close()
	for range 500 {
		if c.Ping(t.Context()).Err() == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("redis-server on %s does not answer within 5 s", s.Addr)
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
