package oauth

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// roles are the application permissions that Microsoft's Exchange wants of a program that acts with its
// own right (learn.microsoft.com/exchange/client-developer/legacy-protocols/
// how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth).
var roles = map[string]string{useSMTP: "SMTP.SendAsApp", useIMAP: "IMAP.AccessAsApp", usePOP: "POP.AccessAsApp"}

// lackingRole is the application permission that a use needs and that is not among the granted ones.
func lackingRole(use string, granted []string) []string {
	role := roles[use]
	if role == "" || slices.ContainsFunc(granted, func(s string) bool { return strings.EqualFold(s, role) }) {
		return nil
	}
	return []string{role}
}

// rolesOf are the application permissions in an access token of Microsoft's, which is a JWT (claim
// "roles": learn.microsoft.com/entra/identity-platform/access-token-claims-reference). Nil where it
// cannot be told. The signature is not looked at: the token comes straight from the token endpoint,
// and all that depends on it is what people are told.
func rolesOf(access string) []string {
	parts := strings.Split(access, ".")
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims struct {
		Roles []string `json:"roles"`
	}
	_ = json.Unmarshal(payload, &claims)
	return claims.Roles
}
