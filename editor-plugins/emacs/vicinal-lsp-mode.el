;;; vicinal-lsp-mode.el --- Vicinal as one more server of lsp-mode  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; lsp-mode 9.0.1 and newer draws the ghost text by itself; an older one shows Vicinal's completions in its menu.
;;
;;   (with-eval-after-load 'lsp-mode (require 'vicinal-lsp-mode))

;;; Code:

(require 'lsp-mode)

(defvar vicinal-lsp-command '("vicinal" "lsp")
  "How the language server is started.")

(defvar vicinal-lsp-settings nil
  "What the server is told, as a property list, such as (:maxLines 4).")

(lsp-register-client
 (make-lsp-client
  :new-connection (lsp-stdio-connection (lambda () vicinal-lsp-command))
  :activation-fn (lambda (&rest _) t)
  :add-on? t
  :priority -2
  :initialization-options (lambda () vicinal-lsp-settings)
  :notification-handlers (let ((handlers (make-hash-table :test #'equal)))
                           (puthash "vicinal/answer" #'ignore handlers)
                           (puthash "didChangeStatus" #'ignore handlers)
                           handlers)
  :server-id 'vicinal))

(when (fboundp 'lsp-inline-completion-mode)
  (add-hook 'lsp-after-open-hook #'lsp-inline-completion-mode))

(provide 'vicinal-lsp-mode)
;;; vicinal-lsp-mode.el ends here
