package main

import "net/http"

// most is how many items the API puts on a page.
const most = 200

// A page is what every list of the API answers.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next_cursor"`
}

// all follows the cursors of a list to its end, or until it has limit items; 0
// is no limit.
func all[T any](limit int, next func(size *int, cursor *string) (*http.Response, error)) ([]T, error) {
	list := []T{}
	for cursor := (*string)(nil); ; {
		size := most
		if limit > 0 {
			size = min(most, limit-len(list))
		}
		got, err := read[page[T]](next(&size, cursor))
		if err != nil {
			return nil, err
		}
		list = append(list, got.Items...)
		if limit > 0 && len(list) >= limit {
			return list[:limit], nil
		}
		if got.Next == "" {
			return list, nil
		}
		cursor = &got.Next
	}
}
