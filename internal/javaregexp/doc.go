// Package javaregexp runs regular expressions of Java's dialect
// (java.util.regex.Pattern of JDK 11) on an engine that ends in bounded time.
//
// A pattern is read here, as Java reads it, and written again in the few constructs
// that mean the same to the engine: every character class becomes plain ranges, and
// every anchor that knows line terminators becomes a look-around. What Java refuses
// is a [*SyntaxError]; what Java has and cannot be written so is an
// [*UnsupportedError] that names it. Both are values of the pattern alone.
//
// Differences from Java that stay: texts are sequences of code points, so half of a
// surrogate pair never matches; properties are those of Go's version of Unicode; a
// back-reference under (?i) also ignores the case of letters outside ASCII.
package javaregexp
