package dynamo

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestFitsNumber(t *testing.T) {
	tests := []struct {
		name, number string
		want         bool
	}{
		{"a reading", "24.850", true},
		{"zero with any exponent", "0e-999", true},
		{"38 digits", strings.Repeat("9", 38), true},
		{"39 digits", strings.Repeat("9", 39), false},
		{"zeros around 38 digits do not count", "0.000" + strings.Repeat("9", 38) + "000", true},
		{"the largest", "9.9e125", true},
		{"ten times that", "9.9e126", false},
		{"the smallest", "1e-130", true},
		{"a tenth of that", "0.1e-130", false},
		{"an exponent beyond counting", "1e99999999999999999999", false},
		{"negative", "-1.5E+3", true},
	}
	for _, tt := range tests {
		if got := fitsNumber(tt.number); got != tt.want {
			t.Errorf("%s: fitsNumber(%s) = %v", tt.name, tt.number, got)
		}
	}
}

// FuzzDocument checks that every JSON text becomes a document which reads back as
// JSON of the same kind, and that what becomes a Number keeps its digits.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"a":[1.50,{"":null}],"b":"\ud800","c":1e300,"c":true}`))
	f.Add([]byte(strings.Repeat("[", 33) + strings.Repeat("]", 33)))
	f.Add([]byte("\"\xff\""))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		document := documentOf(raw)
		back := appendJSON(nil, document)
		if !json.Valid(back) {
			t.Fatalf("%s reads back as %s", raw, back)
		}
		if n, ok := document.(*types.AttributeValueMemberN); ok && n.Value != strings.TrimSpace(string(raw)) {
			t.Errorf("%s becomes the Number %s", raw, n.Value)
		}
		var want, got any
		if json.Unmarshal(raw, &want) == nil && json.Unmarshal(back, &got) == nil {
			if _, isMap := want.(map[string]any); isMap {
				m, ok := got.(map[string]any)
				if ok && len(m) != len(want.(map[string]any)) {
					t.Errorf("%s reads back as %s", raw, back)
				}
			}
		}
	})
}

// FuzzRowKey checks that keys sort as positions do, and read back as them.
func FuzzRowKey(f *testing.F) {
	f.Add(int64(0), uint64(math.MaxUint64), int64(1), uint64(0))
	f.Add(int64(maxTime), uint64(9), int64(maxTime), uint64(10))
	f.Fuzz(func(t *testing.T, aTime int64, aSeq uint64, bTime int64, bSeq uint64) {
		if min(aTime, bTime) < 0 || max(aTime, bTime) > maxTime {
			return
		}
		a, b := iot.HistoryPos{Time: aTime, Seq: aSeq}, iot.HistoryPos{Time: bTime, Seq: bSeq}
		if (rowKey(a) < rowKey(b)) != less(a, b) || (dayOf(a.Time) < dayOf(b.Time)) && !less(a, b) {
			t.Errorf("%v and %v do not sort as %s and %s", a, b, rowKey(a), rowKey(b))
		}
		if back, err := parseRowKey(rowKey(a)); err != nil || back != a {
			t.Errorf("%v reads back as %v, %v", a, back, err)
		}
	})
}
