package iotsql

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
)

// hashFunctions give the lower-case hex digest of a String's UTF-8 bytes.
func hashFunctions() []function {
	return []function{
		{name: "md2", min: 1, max: 1, eval: func(st *state, args []value) value {
			s, ok := st.toText(args[0])
			if !ok || !st.spendBytes(8*len(s)) { // it is slow
				return value{}
			}
			sum := md2([]byte(s))
			return text(hex.EncodeToString(sum[:]))
		}},
		digest("md5", func(b []byte) []byte { sum := md5.Sum(b); return sum[:] }),
		digest("sha1", func(b []byte) []byte { sum := sha1.Sum(b); return sum[:] }),
		digest("sha224", func(b []byte) []byte { sum := sha256.Sum224(b); return sum[:] }),
		digest("sha256", func(b []byte) []byte { sum := sha256.Sum256(b); return sum[:] }),
		digest("sha384", func(b []byte) []byte { sum := sha512.Sum384(b); return sum[:] }),
		digest("sha512", func(b []byte) []byte { sum := sha512.Sum512(b); return sum[:] }),
	}
}

func digest(name string, sum func([]byte) []byte) function {
	return mapText(name, false, func(s string) string {
		return hex.EncodeToString(sum([]byte(s)))
	})
}

// encodingFunctions convert between texts and bytes.
func encodingFunctions() []function {
	return []function{
		{name: "encode", min: 2, max: 2, newer: true, eval: encode},
		{name: "decode", min: 2, max: 2, newer: true, eval: decode},
	}
}

// encode gives base64 of the message's own bytes for *, else of the String.
func encode(st *state, args []value) value {
	s, ok := st.toText(args[0])
	if args[0].whole {
		s, ok = st.payload, true
	}
	if !ok || args[1].text != "base64" || !st.spendBytes(len(s)*4/3) {
		return value{}
	}
	return text(base64.StdEncoding.EncodeToString([]byte(s)))
}

// decode reads base64: a JSON document as its value, anything else as a String.
// What is not base64 is Null.
func decode(st *state, args []value) value {
	s, ok := st.toText(args[0])
	if !ok || args[1].text != "base64" || !st.spendBytes(len(s)) {
		return value{}
	}
	encoding := base64.StdEncoding
	if len(s)%4 != 0 { // Java's decoder, which AWS is likely to use, asks for no padding
		encoding = base64.RawStdEncoding
	}
	bytes, err := encoding.DecodeString(s)
	if err != nil {
		return value{kind: kindNull}
	}
	out := string(bytes)
	if !isJSON(out) {
		return text(out)
	}
	return readDocument(out)
}

// readDocument is the value of a whole JSON document.
func readDocument(s string) value {
	start := skipSpace(s, 0)
	return readValue(s[start:skipValue(s, start)])
}
