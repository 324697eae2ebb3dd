package graphsim

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// seedDomain is where everybody of a seeded tenant has their address.
const seedDomain = "contoso.example"

const (
	givenNames = "Ada Bruno Chiara Dmitri Elif Femi Greta Hugo Ingrid Jamal Keiko Liam Mina Noor Otto Priya " +
		"Quentin Rosa Sven Tala Umar Vera Wen Ximena Yusuf Zoe Amara Benoit Camila Daan Esther Farid Gita " +
		"Henrik Ines Joao Kwame Lotte Marek Nadia Olga Pedro Rania Stefan Thandi Ulla Viktor Wanjiru Yara Zeno"
	surnames = "Abebe Berg Costa Dubois Eriksen Fischer Garcia Haddad Ivanova Jansen Kowalski Lindqvist Mbeki " +
		"Nakamura Okafor Petrov Quispe Rossi Silva Tanaka Ueda Vargas Weber Xu Yilmaz Zimmer Andersen Banerjee " +
		"Chen Diallo Evans Ferrari Gupta Horvat Ibrahim Johansson Kim Laurent Moreau Novak Ortega Papadakis " +
		"Reyes Schmidt Tran Usman Virtanen Wagner Yamada Zhou"
	doorNames = "HQ doors|Laboratory|Warehouse|Reception|Server room|Parking|Roof terrace|Workshop|Archive|" +
		"Canteen|Night shift|Branch office"
)

// Seed fills the tenant with people in groups, the same ones each time. Most
// have their address as mail; one in 40 has another, one in 50 none, one in 60
// is a guest and one in 80 is locked. Everybody is in one group, one in seven
// in two.
func (s *Server) Seed(people, groups int) {
	in := make([][]string, groups)
	for i := range people {
		u := seedUser(i)
		s.AddUser(u)
		if groups == 0 {
			continue
		}
		in[i%groups] = append(in[i%groups], u.ID)
		if other := (i/7 + 1) % groups; i%7 == 0 && other != i%groups {
			in[other] = append(in[other], u.ID)
		}
	}
	for i, members := range in {
		id := seedID("group", i)
		s.AddGroup(id, numbered(strings.Split(doorNames, "|"), i))
		s.Join(id, members...)
	}
}

func seedUser(i int) User {
	given, family := strings.Fields(givenNames), strings.Fields(surnames)
	// Both lists have 50 names; the quotient turns the pairing, so that 2,500
	// people have different names before a number is needed.
	g, f := i%len(given), (i+i/len(given))%len(family)
	round := i / (len(given) * len(family))
	u := User{ID: seedID("user", i), DisplayName: given[g] + " " + family[f], AccountEnabled: i%80 != 79, UserType: "Member"}
	local := strings.ToLower(given[g] + "." + family[f])
	if round > 0 {
		local += fmt.Sprint(round + 1)
	}
	u.UserPrincipalName = local + "@" + seedDomain
	mail := u.UserPrincipalName
	switch {
	case i%60 == 59:
		mail = local + "@fabrikam.example"
		u.UserType = "Guest"
		u.UserPrincipalName = strings.ReplaceAll(mail, "@", "_") + "#EXT#@" + seedDomain
	case i%50 == 49:
		return u
	case i%40 == 39:
		mail = local + "@mail." + seedDomain
	}
	u.Mail = &mail
	return u
}

// numbered picks a name, with a number from the second time round.
func numbered(names []string, i int) string {
	name := names[i%len(names)]
	if round := i / len(names); round > 0 {
		name += fmt.Sprintf(" %d", round+1)
	}
	return name
}

// seedID is a guid that depends on nothing but its arguments.
func seedID(what string, i int) string {
	h := fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s %d", what, i)))
	return fmt.Sprintf("%s-%s-4%s-a%s-%s", h[:8], h[8:12], h[13:16], h[17:20], h[20:32])
}
