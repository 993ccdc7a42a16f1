;; Asks for more of an interface than the contract has.
(component
  (import "cellblock:format/progress@0.1.5" (instance
    (export "read-host-file" (func (param "path" string) (result (list u8)))))))
