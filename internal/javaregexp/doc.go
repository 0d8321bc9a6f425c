// Package javaregexp runs regular expressions of Java's dialect
// (java.util.regex.Pattern) on an engine that ends in bounded time.
package javaregexp
