package graphsim

import (
	"slices"
	"strings"
)

// userDefaults are the properties of a person that come without $select. That
// accountEnabled is not among them has locked nobody out at many a company.
func userDefaults() []string {
	return []string{
		"businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone",
		"officeLocation", "preferredLanguage", "surname", "userPrincipalName", "id",
	}
}

func userProperty(name string) bool {
	return slices.Contains(userDefaults(), name) || slices.Contains([]string{
		"accountEnabled", "userType", "otherMails", "proxyAddresses", "employeeId", "externalUserState",
		"department", "companyName", "identities", "onPremisesSamAccountName", "createdDateTime", "deletedDateTime",
	}, name)
}

func userValue(u User, name string) any {
	switch name {
	case "id":
		return u.ID
	case "displayName":
		return u.DisplayName
	case "userPrincipalName":
		return u.UserPrincipalName
	case "mail":
		return u.Mail
	case "accountEnabled":
		return u.AccountEnabled
	case "userType":
		return u.UserType
	case "givenName":
		given, _, _ := strings.Cut(u.DisplayName, " ")
		return given
	case "surname":
		_, surname, _ := strings.Cut(u.DisplayName, " ")
		return surname
	case "businessPhones", "otherMails", "proxyAddresses", "identities":
		return []string{}
	}
	return nil
}

func groupDefaults() []string {
	return []string{"id", "displayName", "description", "groupTypes", "mail", "mailEnabled", "securityEnabled"}
}

func groupProperty(name string) bool {
	return slices.Contains(groupDefaults(), name) || slices.Contains([]string{
		"mailNickname", "visibility", "createdDateTime", "deletedDateTime", "membershipRule", "isAssignableToRole",
	}, name)
}

func groupValue(r *record, name string) any {
	switch name {
	case "id":
		return r.id
	case "displayName":
		return r.name
	case "groupTypes":
		return []string{}
	case "securityEnabled":
		return true
	case "mailEnabled":
		return false
	}
	return nil
}

// show returns the named properties of an object. With hidden, a person is
// only an id: what an app without User.Read.All gets to see.
func show(r *record, fields []string, hidden bool) map[string]any {
	seen := make(map[string]any, len(fields)+2)
	for _, f := range fields {
		switch {
		case r.kind == userKind && hidden && f != "id":
			seen[f] = nil
		case r.kind == userKind:
			seen[f] = userValue(r.user, f)
		case f == "id" || f == "displayName" || r.kind == groupKind && groupProperty(f):
			seen[f] = groupValue(r, f)
		}
	}
	seen["id"] = r.id
	return seen
}

func typed(r *record, fields []string, hidden bool) map[string]any {
	seen := show(r, fields, hidden)
	seen["@odata.type"] = string(r.kind)
	return seen
}
