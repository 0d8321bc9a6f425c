module github.com/fieldline-iot/fieldline/compat

go 1.26
