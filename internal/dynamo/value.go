package dynamo

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The limits of DynamoDB's documents: levels of nesting, and the digits and
// powers of ten of a Number.
const (
	maxLevels   = 32
	maxDigits   = 38
	maxExponent = 125
	minExponent = -130
)

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func integer(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func unsigned(n uint64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(n, 10)}
}

// rawValue keeps bytes as they are.
func rawValue(raw []byte) types.AttributeValue {
	if utf8.Valid(raw) {
		return text(string(raw))
	}
	return &types.AttributeValueMemberB{Value: raw}
}

// documentOf is a JSON text as a DynamoDB document. A number that is no DynamoDB
// Number becomes its digits as text; a document that DynamoDB cannot hold (nested
// deeper than 32 levels, or with an empty member name) becomes its JSON text.
func documentOf(raw []byte) types.AttributeValue {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var document any
	if err := d.Decode(&document); err != nil {
		return text(strings.ToValidUTF8(string(raw), "\uFFFD"))
	}
	if v, ok := valueOf(document, 1); ok {
		return v
	}
	return text(strings.ToValidUTF8(string(raw), "\uFFFD"))
}

// valueOf converts what encoding/json decodes; level counts from 1.
func valueOf(document any, level int) (types.AttributeValue, bool) {
	switch v := document.(type) {
	case nil:
		return &types.AttributeValueMemberNULL{Value: true}, true
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}, true
	case string:
		return text(v), true
	case json.Number:
		return numberOf(v.String()), true
	case []any:
		list := &types.AttributeValueMemberL{Value: make([]types.AttributeValue, len(v))}
		for i, element := range v {
			value, ok := valueOf(element, level+1)
			if !ok || level >= maxLevels {
				return nil, false
			}
			list.Value[i] = value
		}
		return list, true
	case map[string]any:
		m := &types.AttributeValueMemberM{Value: make(item, len(v))}
		for name, element := range v {
			value, ok := valueOf(element, level+1)
			if !ok || name == "" || level >= maxLevels {
				return nil, false
			}
			m.Value[name] = value
		}
		return m, true
	}
	return nil, false
}

// numberOf is a JSON number as a Number, or as text when it does not fit exactly.
func numberOf(digits string) types.AttributeValue {
	if fitsNumber(digits) {
		return &types.AttributeValueMemberN{Value: digits}
	}
	return text(digits)
}

// fitsNumber reports whether a JSON number is a DynamoDB Number exactly.
func fitsNumber(number string) bool {
	mantissa, power, scientific := strings.Cut(strings.ToLower(strings.TrimPrefix(number, "-")), "e")
	exponent := 0
	if scientific {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil {
			return false
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return true
	}
	leading := len(digits) - len(fraction) - 1 + exponent // power of ten of the first digit
	return len(strings.TrimRight(digits, "0")) <= maxDigits && leading <= maxExponent && leading >= minExponent
}

// appendJSON writes an attribute as JSON, with the members of maps in the order
// of their names. It is how the items of the guide's own functions are read,
// which keep no raw payload.
func appendJSON(dst []byte, v types.AttributeValue) []byte {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return appendMarshalled(dst, v.Value)
	case *types.AttributeValueMemberN:
		return appendNumber(dst, v.Value)
	case *types.AttributeValueMemberBOOL:
		return strconv.AppendBool(dst, v.Value)
	case *types.AttributeValueMemberM:
		return appendMap(dst, v.Value)
	case *types.AttributeValueMemberL:
		return appendList(dst, v.Value, appendJSON)
	case *types.AttributeValueMemberNS:
		return appendList(dst, v.Value, appendNumber)
	case *types.AttributeValueMemberSS:
		return appendMarshalled(dst, v.Value)
	case *types.AttributeValueMemberB:
		return appendMarshalled(dst, v.Value)
	case *types.AttributeValueMemberBS:
		return appendMarshalled(dst, v.Value)
	}
	return append(dst, "null"...)
}

func appendMap(dst []byte, m item) []byte {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	dst = append(dst, '{')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendMarshalled(dst, name), ':')
		dst = appendJSON(dst, m[name])
	}
	return append(dst, '}')
}

func appendList[T any](dst []byte, list []T, element func([]byte, T) []byte) []byte {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = element(dst, v)
	}
	return append(dst, ']')
}

func appendNumber(dst []byte, number string) []byte {
	if json.Valid([]byte(number)) {
		return append(dst, number...)
	}
	return appendMarshalled(dst, number)
}

// appendMarshalled writes strings, bytes and lists of them, which always marshal.
func appendMarshalled(dst []byte, v any) []byte {
	text, _ := json.Marshal(v)
	return append(dst, text...)
}

// stringIn returns a text attribute, "" when it is absent or of another type.
func stringIn(it item, name string) string {
	if v, ok := it[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

// numberIn returns a whole number; ok is false when there is none.
func numberIn(it item, name string) (n uint64, ok bool) {
	v, ok := it[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(v.Value, 10, 64)
	return n, err == nil
}
