package app

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// redisOptions reads a Redis address. Errors never repeat it: it may hold a
// password.
func redisOptions(address string) (*redis.UniversalOptions, error) {
	const expected = "expected redis://, rediss://, redis-sentinel://host:26379,host:26379/master or redis-cluster://host:6379,host:6379"
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("is no address; %s, as redis://127.0.0.1:6379/0", expected)
	}
	o := &redis.UniversalOptions{
		Addrs: hosts(u.Host, u.Scheme), Username: u.User.Username(),
		DialTimeout: 3 * time.Second, ReadTimeout: 3 * time.Second, WriteTimeout: 3 * time.Second,
		ContextTimeoutEnabled: true, PoolSize: 64,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	o.Password, _ = u.User.Password()
	path, secure := strings.Trim(u.Path, "/"), u.Query().Get("tls") == "true"
	switch u.Scheme {
	case "rediss":
		secure = true
		fallthrough
	case "redis":
		o.DB, err = database(path)
	case "redis-sentinel":
		o.MasterName = path
		o.DB, err = database(u.Query().Get("db"))
		if path == "" {
			err = fmt.Errorf("names no master; expected redis-sentinel://host:26379/master")
		}
	case "redis-cluster":
		o.IsClusterMode = true
	default:
		return nil, fmt.Errorf("begins with %s://; %s", u.Scheme, expected)
	}
	if secure {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o, err
}

func database(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("names the database %q, expected a number, as redis://127.0.0.1:6379/0", s)
	}
	return n, nil
}

// hosts splits a list and adds the port that is usual.
func hosts(list, scheme string) []string {
	port := "6379"
	if scheme == "redis-sentinel" {
		port = "26379"
	}
	all := strings.Split(list, ",")
	for k, h := range all {
		if !strings.Contains(h, ":") {
			all[k] = h + ":" + port
		}
	}
	return all
}
