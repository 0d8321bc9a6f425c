package ddb

import (
	"encoding/json"
	"strconv"
)

// AppendJSON appends to dst what json.Marshal returns of o, without reflection on
// its items.
func (o GetItemOutput) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if o.Item != nil {
		dst = o.Item.AppendJSON(append(dst, `"Item":`...))
	}
	return append(appendCapacity(dst, o.ConsumedCapacity), '}')
}

// AppendJSON appends to dst what json.Marshal returns of o, without reflection on
// its attributes.
func (o WriteOutput) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if o.Attributes != nil {
		dst = o.Attributes.AppendJSON(append(dst, `"Attributes":`...))
	}
	return append(appendCapacity(dst, o.ConsumedCapacity), '}')
}

// AppendJSON appends to dst what json.Marshal returns of o, without reflection on
// its items.
func (o ReadOutput) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if o.Items != nil {
		dst = append(dst, `"Items":[`...)
		for i, item := range o.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.AppendJSON(dst)
		}
		dst = append(dst, `],`...)
	}
	dst = strconv.AppendInt(append(dst, `"Count":`...), int64(o.Count), 10)
	dst = strconv.AppendInt(append(dst, `,"ScannedCount":`...), int64(o.ScannedCount), 10)
	if o.LastEvaluatedKey != nil {
		dst = o.LastEvaluatedKey.AppendJSON(append(dst, `,"LastEvaluatedKey":`...))
	}
	return append(appendCapacity(dst, o.ConsumedCapacity), '}')
}

// appendCapacity appends the last member of an object, when there is one.
func appendCapacity(dst []byte, c *ConsumedCapacity) []byte {
	if c == nil {
		return dst
	}
	text, err := json.Marshal(c)
	if err != nil { // names and numbers always encode
		return dst
	}
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(dst, `"ConsumedCapacity":`...), text...)
}
