;; Asks for the folders of the host.
(component
  (import "wasi:filesystem/types@0.2.12" (instance $types
    (export "descriptor" (type (sub resource)))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.12" (instance
    (alias outer 1 $descriptor (type $inner))
    (export "descriptor" (type $own (eq $inner)))
    (export "get-directories" (func (result (list (tuple (own $own) string))))))))
