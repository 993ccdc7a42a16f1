;; Asks for a function that is in no interface.
(component
  (import "run-program" (func (param "command" string) (result s32))))
