package webhook

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// plainly is what parse does, by encoding/json.
func plainly(body []byte) (texts []string, ok bool) {
	var top map[string]json.RawMessage
	var items []json.RawMessage
	if json.Unmarshal(body, &top) != nil || json.Unmarshal(top["value"], &items) != nil || items == nil {
		return nil, false
	}
	for _, raw := range items {
		var fields map[string]json.RawMessage
		var id *string
		if json.Unmarshal(raw, &fields) != nil || fields["subscriptionId"] == nil || json.Unmarshal(fields["subscriptionId"], &id) != nil || id == nil {
			texts = append(texts, "")
			continue
		}
		texts = append(texts, *id)
	}
	return texts, true
}

func FuzzTheScannerReadsWhatEncodingJSONReads(f *testing.F) {
	for _, s := range []string{
		`{"value":[{"subscriptionId":"a"},{"subscriptionId":"\u00e9\ud83d\ude00\n"},null,1]}`,
		"{\"value\":[{\"subscriptionId\":\"\xff\"}]}", " {\n\"value\" : [ ] } \r\t", `{"value":[],}`, `{"value":[1,]}`,
		`{"a":[-0,0.5,1e9,-1.2E-3,true,false,null,{}],"value":[]}`, `{"a":01,"value":[]}`, `{"a":1.,"value":[]}`, `{"a":-,"value":[]}`,
		`{"a":1e,"value":[]}`, `{"a":tru,"value":[]}`, `{"a":"\x","value":[]}`, `{"a":"\u12g4","value":[]}`, "{\"a\":\"\n\",\"value\":[]}",
		"{\"value\":[]}\x00", "\x00", `{"a" 1,"value":[]}`, `{1:2,"value":[]}`, `{"value":[] "b":1}`, `{"value":[`, `{"value":["\`, `{"`,
		`{"a":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `,"value":[]}`,
		`{"a":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `,"value":[]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !unique(body) {
			return // of two members of one name, the two keep different ones
		}
		var got []string
		ok := parse(body, func(n *notice) { got = append(got, string(n.subscription)) })
		want, wantOK := plainly(body)
		if ok != wantOK {
			t.Fatalf("parse says %v, encoding/json %v, about %q", ok, wantOK, body)
		}
		// encoding/json replaces bytes that are no UTF-8; ids never have any.
		if diff := cmp.Diff(want, got); ok && strings.ToValidUTF8(string(body), "") == string(body) && diff != "" {
			t.Errorf("ids of %q (-want +got):\n%s", body, diff)
		}
	})
}

func unique(body []byte) bool {
	return strings.Count(string(body), "value") <= 1 && strings.Count(string(body), `\u`) <= 3
}
