package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// redisPatience is how long Redis may take for anything.
const redisPatience = 3 * time.Second

// openRedis makes a client. It does not dial: Redis may come up later.
func openRedis(address string) (redis.UniversalClient, error) {
	o, err := redisOptions(address)
	if err != nil {
		return nil, fmt.Errorf("KISIBRIDGE_REDIS_URL: %w", err)
	}
	return redis.NewUniversalClient(o), nil
}

// redisOptions reads a Redis address. An error repeats none of it but the
// scheme: a password with a sign that was not encoded may show up anywhere.
func redisOptions(address string) (*redis.UniversalOptions, error) {
	u, err := parseList(address)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("is no address (write the signs /?#@% of a password as %2F %3F %23 %40 %25), " +
			"expected redis://, rediss://, redis-sentinel:// or redis-cluster://, as redis://127.0.0.1:6379/0")
	case u.Fragment != "" || strings.Contains(u.Path, "@"):
		return nil, errors.New("has a sign after the host that belongs into a password, expected the signs /?#@% as %2F %3F %23 %40 %25, " +
			"as redis://:pass%23word@127.0.0.1:6379/0")
	}
	o := &redis.UniversalOptions{
		Username:    u.User.Username(),
		DialTimeout: redisPatience, ReadTimeout: redisPatience, WriteTimeout: redisPatience,
		ContextTimeoutEnabled: true, PoolSize: 64,
		// Its probe holds a lock across network calls.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	o.Password, _ = u.User.Password()
	switch u.Scheme {
	case "redis", "rediss":
		err = single(o, u)
	case "redis-sentinel":
		err = sentinels(o, u)
	case "redis-cluster":
		err = cluster(o, u)
	default:
		err = fmt.Errorf("begins with %s://, expected redis://, rediss://, redis-sentinel:// or redis-cluster://, as redis://127.0.0.1:6379/0", u.Scheme)
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// parseList parses an address whose host may be a list, which url.Parse, made
// for one host, refuses in part.
func parseList(address string) (*url.URL, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	begin := strings.LastIndex(rest[:end], "@") + 1
	u, err := url.Parse(scheme + "://" + rest[:begin] + "host" + rest[end:])
	if err == nil {
		u.Host = rest[begin:end]
	}
	return u, err
}

func single(o *redis.UniversalOptions, u *url.URL) (err error) {
	const example = "redis://127.0.0.1:6379/0"
	if o.Addrs, err = hosts(u.Host, "6379", example); err != nil {
		return err
	}
	if len(o.Addrs) > 1 { // which go-redis would take for a cluster
		return fmt.Errorf("names %d hosts, expected one, as %s (many: redis-cluster:// or redis-sentinel://)", len(o.Addrs), example)
	}
	if u.Scheme == "rediss" {
		o.TLSConfig = newTLS()
	}
	if o.DB, err = database(strings.TrimPrefix(u.Path, "/"), example); err != nil {
		return err
	}
	return options(nil, u, "no options (for TLS: rediss://)", example)
}

func sentinels(o *redis.UniversalOptions, u *url.URL) (err error) {
	const example = "redis-sentinel://10.0.0.1:26379,10.0.0.2:26379/mymaster?db=0"
	if o.Addrs, err = hosts(u.Host, "26379", example); err != nil {
		return err
	}
	o.MasterName = strings.TrimPrefix(u.Path, "/")
	if o.MasterName == "" || strings.Contains(o.MasterName, "/") {
		return errors.New("names no master, expected its name after the hosts, as " + example)
	}
	if o.DB, err = database(u.Query().Get("db"), example); err != nil {
		return err
	}
	return options(o, u, "no options but db and tls=true", example, "db", "tls")
}

func cluster(o *redis.UniversalOptions, u *url.URL) (err error) {
	const example = "redis-cluster://10.0.0.1:6379,10.0.0.2:6379"
	if o.Addrs, err = hosts(u.Host, "6379", example); err != nil {
		return err
	}
	if strings.Trim(u.Path, "/") != "" {
		return errors.New("names a database, expected none, for a cluster has but one, as " + example)
	}
	o.IsClusterMode = true // also when it is entered by a single host
	return options(o, u, "no options but tls=true", example, "tls")
}

// options refuses what is not known, for a misspelt tls would be no TLS.
func options(o *redis.UniversalOptions, u *url.URL, expected, example string, known ...string) error {
	query, err := url.ParseQuery(u.RawQuery)
	wrong := err != nil
	for name, values := range query {
		wrong = wrong || !slices.Contains(known, name) || len(values) > 1
	}
	if tls := query.Get("tls"); tls == "true" && !wrong {
		o.TLSConfig = newTLS()
	} else if query.Has("tls") && tls != "false" {
		wrong = true
	}
	if wrong {
		return fmt.Errorf("has an option that is not known, expected %s, as %s", expected, example)
	}
	return nil
}

func newTLS() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }

func database(s, example string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("names a database that is no number, expected one from 0, as %s", example)
	}
	return int(n), nil
}

// hosts splits a list and adds the port that is usual.
func hosts(list, usual, example string) ([]string, error) {
	var all []string
	for h := range strings.SplitSeq(list, ",") {
		u, err := url.Parse("//" + h)
		if err != nil || u.Hostname() == "" {
			return nil, fmt.Errorf("names a host that is none, expected host:port, as %s", example)
		}
		port := u.Port()
		if port == "" {
			port = usual
		}
		all = append(all, net.JoinHostPort(u.Hostname(), port))
	}
	return all, nil
}
