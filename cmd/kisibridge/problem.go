package main

import (
	"encoding/json"
	"net/http"
	"strings"

	"kisibridge/api"
)

// A problem is what the API answers instead of what was asked for.
type problem struct{ api.Problem }

// problemOf also understands what stands before a bridge and knows no problems.
func problemOf(answer *http.Response, body []byte) *problem {
	p := &problem{}
	if err := json.Unmarshal(body, &p.Problem); err != nil || p.Title == "" {
		hint := "is " + urlSetting + " the address of a bridge?"
		p.Problem = api.Problem{Title: asked(answer) + ": " + answer.Status, Hint: &hint}
	}
	p.Status = answer.StatusCode
	if p.Status == http.StatusUnauthorized && p.Hint == nil {
		hint := "set " + tokenSetting + " to an API key, or to the admin token of the bridge"
		p.Hint = &hint
	}
	return p
}

// Error tells all of it: the title, each field with its remedy, the hint.
func (p *problem) Error() string {
	var text strings.Builder
	text.WriteString(p.Title)
	if p.Detail != nil && *p.Detail != "" {
		text.WriteString(": " + *p.Detail)
	}
	if p.Errors != nil {
		for _, e := range *p.Errors {
			text.WriteString("\n  " + e.Field + ": " + e.Detail)
			if e.Hint != nil && *e.Hint != "" {
				text.WriteString(" (" + *e.Hint + ")")
			}
		}
	}
	if p.Hint != nil && *p.Hint != "" {
		text.WriteString("\n" + *p.Hint)
	}
	if p.Status >= http.StatusInternalServerError && p.Instance != nil {
		text.WriteString("\nThe logs of the bridge know it as " + *p.Instance)
	}
	return text.String()
}
