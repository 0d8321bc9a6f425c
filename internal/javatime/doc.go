// Package javatime formats times by the patterns of Joda-Time's DateTimeFormat and
// reads them by those of java.time's DateTimeFormatter.
package javatime
