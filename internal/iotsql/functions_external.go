package iotsql

// externalFunctions call out of the process, through Env.Call. An argument that
// cannot be one makes them Undefined without a call.
func externalFunctions() []function {
	return []function{
		{name: "aws_lambda", min: 2, max: 2, calls: true, eval: func(st *state, args []value) value {
			if args[0].kind != kindText || args[1].isUndefined() {
				return value{}
			}
			return st.callOut("aws_lambda", args)
		}},
		{name: "get_dynamodb", min: 4, max: 6, newer: true, calls: true, eval: getItem},
		{name: "get_registry_data", min: 3, max: 3, newer: true, calls: true, eval: registryData},
	}
}

// getItem is get_dynamodb(table, key, value [, sort key, value], role).
func getItem(st *state, args []value) value {
	if len(args) == 5 || !texts(args[0], args[len(args)-1]) {
		return value{}
	}
	for keys := args[1 : len(args)-1]; len(keys) > 0; keys = keys[2:] {
		if !texts(keys[0]) || !texts(keys[1]) && keys[1].kind != kindNumber {
			return value{}
		}
	}
	return st.callOut("get_dynamodb", args)
}

// registryData is get_registry_data(operation, thing, role).
func registryData(st *state, args []value) value {
	if !texts(args...) || !registryOperation(args[0].text) {
		return value{}
	}
	return st.callOut("get_registry_data", args)
}

func registryOperation(name string) bool {
	return name == "DescribeThing" || name == "ListThingGroupsForThing"
}

// texts reports whether all values are Strings.
func texts(values ...value) bool {
	for i := range values {
		if values[i].kind != kindText {
			return false
		}
	}
	return true
}
