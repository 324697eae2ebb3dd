package app

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// seen is what differs between the addresses.
type seen struct {
	Kind, User, Password, Master string
	Addrs                        []string
	DB                           int
	TLS                          bool
}

func TestARedisAddressNamesEveryKindOfRedis(t *testing.T) {
	for _, tc := range []struct {
		address string
		want    seen
	}{
		{"redis://127.0.0.1:6379/0", seen{Kind: "*redis.Client", Addrs: []string{"127.0.0.1:6379"}}},
		{"redis://redis", seen{Kind: "*redis.Client", Addrs: []string{"redis:6379"}}},
		{"redis://[::1]/2", seen{Kind: "*redis.Client", Addrs: []string{"[::1]:6379"}, DB: 2}},
		{"rediss://ada:p%23%2F%40@redis:6380/3", seen{
			Kind: "*redis.Client", Addrs: []string{"redis:6380"}, User: "ada", Password: "p#/@", DB: 3, TLS: true,
		}},
		{"redis-sentinel://h1:26379,h2,[::1]:5/mymaster?db=4", seen{
			Kind: "*redis.Client", Addrs: []string{"h1:26379", "h2:26379", "[::1]:5"}, Master: "mymaster", DB: 4,
		}},
		{"redis-sentinel://:pw@h1/m?tls=true", seen{
			Kind: "*redis.Client", Addrs: []string{"h1:26379"}, Master: "m", Password: "pw", TLS: true,
		}},
		{"redis-cluster://h1:6379,h2:6379,h3", seen{Kind: "*redis.ClusterClient", Addrs: []string{"h1:6379", "h2:6379", "h3:6379"}}},
		{"redis-cluster://one?tls=true", seen{Kind: "*redis.ClusterClient", Addrs: []string{"one:6379"}, TLS: true}},
		{"redis-cluster://one/?tls=false", seen{Kind: "*redis.ClusterClient", Addrs: []string{"one:6379"}}},
	} {
		t.Run(tc.address, func(t *testing.T) {
			o, err := redisOptions(tc.address)
			if err != nil {
				t.Fatal(err)
			}
			client := redis.NewUniversalClient(o)
			defer client.Close()
			got := seen{fmt.Sprintf("%T", client), o.Username, o.Password, o.MasterName, o.Addrs, o.DB, o.TLSConfig != nil}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			if o.MaintNotificationsConfig.Mode != maintnotifications.ModeDisabled || o.DialTimeout != redisPatience {
				t.Errorf("options are %+v, want no maintenance notifications, and patience of %s", o, redisPatience)
			}
		})
	}
}

func TestAWrongRedisAddressIsExplainedAndNotRepeated(t *testing.T) {
	for _, tc := range []struct{ address, want string }{
		{"", "is no address"},
		{"hunter2@redis:6379", "is no address"},
		{"default:hunter2@redis:6379", "is no address"},
		{"redis://:hunter2#@redis", "belongs into a password"},
		{"redis://u:12/hunter2@redis", "belongs into a password"},
		{"redis://u:12#hunter2@redis", "belongs into a password"},
		{"redis://u:12?hunter2@redis", "has an option that is not known"},
		{"http://:hunter2@redis", "begins with http://"},
		{"redis://:hunter2@h1,h2", "names 2 hosts"},
		{"redis://:hunter2@h1/x", "names a database"},
		{"redis://h1/-1", "names a database"},
		{"redis://h1?tls=true", "for TLS: rediss://"},
		{"redis-sentinel://h1", "names no master"},
		{"redis-sentinel://h1,,h2/m", "names a host that is none"},
		{"redis://h1:hunter2", "names a host that is none"},
		{"redis-sentinel://h1/m?db=x", "names a database"},
		{"redis-sentinel://h1/m?ssl=true", "has an option that is not known"},
		{"redis-cluster://h1?tls=yes", "has an option that is not known"},
		{"redis-cluster://h1?tls=true&tls=false", "has an option that is not known"},
		{"redis-cluster://h1/1", "a cluster has but one"},
	} {
		t.Run(tc.address, func(t *testing.T) {
			_, err := redisOptions(tc.address)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if text := err.Error(); strings.Contains(text, "hunter2") || !strings.Contains(text, "expected") || !strings.Contains(text, ", as redis") {
				t.Errorf("got %q, want what is expected, an example, and no password", text)
			}
		})
	}
}

func TestOpeningRedisDoesNotWaitForIt(t *testing.T) {
	client, err := openRedis("redis://" + closedPort(t))
	if err != nil {
		t.Fatalf("got %v, want a client that dials later", err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}

// closedPort is an address at which nobody answers.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
