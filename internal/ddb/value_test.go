package ddb

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestNumberText(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"an exponent is written out", "-1.50e2", "-150"},
		{"zeros that say nothing go", "0012.3400", "12.34"},
		{"minus zero is zero", "-0.0", "0"},
		{"the smallest magnitude", "1e-130", "0." + strings.Repeat("0", 129) + "1"},
		{"the largest magnitude", "9.9E125", "99" + strings.Repeat("0", 124)},
		{"trailing zeros are not significant digits", strings.Repeat("1", 38) + "00", strings.Repeat("1", 38) + "00"},
		{"39 digits are too many", strings.Repeat("1", 39), "more than 38 significant digits"},
		{"beyond the largest", "1e126", "Number overflow"},
		{"below the smallest", "1e-131", "Number underflow"},
		{"an exponent of any length ends", "1e99999999999999999999", "Number overflow"},
		{"no number", "1x", "cannot be converted to a numeric value: 1x"},
		{"no digits", ".", "cannot be converted to a numeric value"},
	} {
		v, err := Number(c.in)
		if err != nil && (!errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), c.want)) || err == nil && v.Text() != c.want {
			t.Errorf("%s: Number(%q) = %q, %v; want %q", c.name, c.in, v.Text(), err, c.want)
		}
	}
}

func TestValueJSONRefusals(t *testing.T) {
	deep := strings.Repeat(`{"L":[`, 33) + strings.Repeat(`]}`, 33)
	for _, c := range []struct {
		name, in, want string
		shape          bool // SerializationException
	}{
		{"no type", `{}`, "is empty, must contain exactly one", false},
		{"two types", `{"S":"a","N":"1"}`, "more than one datatypes set", false},
		{"an unknown type", `{"X":"a"}`, "Unrecognized", true},
		{"a number that is no text", `{"N":1}`, "NUMBER_VALUE cannot be converted to String", true},
		{"NULL false", `{"NULL":false}`, "must have the value of true", false},
		{"an empty set", `{"SS":[]}`, "may not be empty", false},
		{"a number twice, written in two ways", `{"NS":["1","1.0"]}`, "contains duplicates", false},
		{"33 levels", deep, "Nesting Levels have exceeded", false},
		{"base64 without padding", `{"B":"AA"}`, "Base64", true},
		{"two documents", `{"S":"a"}{}`, "after the value", true},
	} {
		var v Value
		err := v.UnmarshalJSON([]byte(c.in))
		_, shape := errors.AsType[*ShapeError](err)
		if err == nil || !strings.Contains(err.Error(), c.want) || shape != c.shape || !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%s: %v (a ShapeError: %v)", c.name, err, shape)
		}
	}
}

func TestItemSize(t *testing.T) {
	i := Item{
		"s":  String("é"),                             // 1 + 2
		"n":  Int(-12345),                             // 1 + 1 + 3 + 1
		"l":  List(Bool(true), Null()),                // 1 + 3 + 2 + 2
		"mm": Map(Item{"k": Binary([]byte{1, 2, 3})}), // 2 + 3 + 1 + 3 + 1
	}
	if got := i.Size(); got != 27 {
		t.Errorf("size %d, want 27", got)
	}
}
