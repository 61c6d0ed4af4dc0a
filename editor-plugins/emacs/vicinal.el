;;; vicinal.el --- Ghost text from Vicinal, by eglot  -*- lexical-binding: t; -*-

;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1") (eglot "1.9"))
;; Keywords: convenience, languages
;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; Shows what Vicinal suggests as ghost text behind the cursor, with how sure it is.  See README.md beside this file.
;;
;;   (require 'vicinal)
;;   (vicinal-use-for 'python-mode)
;;   (add-hook 'python-mode-hook #'eglot-ensure)

;;; Code:

(require 'cl-lib)
(require 'eglot)
(require 'jsonrpc)
(require 'subr-x)

(defgroup vicinal nil "Completions that study the neighbourhood of the cursor." :group 'convenience)

(defcustom vicinal-command '("vicinal" "lsp")
  "How the language server is started."
  :type '(repeat string))

(defcustom vicinal-settings nil
  "What the server is told, as a property list, such as (:maxLines 4).
docs/lsp.md has all settings."
  :type 'plist)

(defcustom vicinal-show-confidence t
  "Whether the ghost text ends with how sure the model is."
  :type 'boolean)

(defface vicinal-ghost '((t :inherit shadow)) "Suggested text.")
(defface vicinal-sure '((t :inherit success)) "How sure the model is, if it is.")
(defface vicinal-unsure '((t :inherit warning)) "How sure the model is, if it is not very.")
(defface vicinal-guess '((t :inherit error)) "How sure the model is, if it is not.")

;;;; The server

(defclass vicinal-server (eglot-lsp-server) () :documentation "Vicinal, as eglot's server of a buffer.")

(defvar vicinal--answer nil "The last answer that the server told of.")
(defvar vicinal--status nil "What the server said last of how it is.")

(cl-defmethod eglot-initialization-options ((_server vicinal-server))
  (or vicinal-settings eglot--{}))

(cl-defmethod eglot-client-capabilities :around ((_server vicinal-server))
  (let* ((own (cl-call-next-method))
         (text (plist-put (copy-sequence (plist-get own :textDocument))
                          :inlineCompletion '(:dynamicRegistration :json-false)))
         ;; The evidence has a window of its own: the cursor stays where it is.
         (window (plist-put (copy-sequence (plist-get own :window)) :showDocument '(:support :json-false))))
    (plist-put (plist-put (copy-sequence own) :textDocument text) :window window)))

(cl-defmethod eglot-handle-notification
  ((_server vicinal-server) (_method (eql vicinal/answer)) &rest params)
  (setq vicinal--answer params)
  (force-mode-line-update t))

(cl-defmethod eglot-handle-notification
  ((_server vicinal-server) (_method (eql didChangeStatus)) &rest params)
  (setq vicinal--status params)
  (force-mode-line-update t))

(defun vicinal--server ()
  "Our server of this buffer, if there is one."
  (let ((server (eglot-current-server)))
    (and (cl-typep server 'vicinal-server) server)))

(defun vicinal--execute (command &rest arguments)
  "Run COMMAND of the server with ARGUMENTS and return its result."
  (let ((server (or (vicinal--server) (user-error "Vicinal does not run in this buffer"))))
    (jsonrpc-request server :workspace/executeCommand
                     (list :command command :arguments (vconcat arguments)) :timeout 60)))

;;;###autoload
(defun vicinal-use-for (&rest modes)
  "Have eglot start Vicinal in buffers of MODES, instead of any other server."
  (dolist (mode modes)
    (add-to-list 'eglot-server-programs (cons mode (cons 'vicinal-server vicinal-command)))))

;;;; Ghost text

(defvar-local vicinal--overlay nil)
(defvar-local vicinal--items nil "The items of the last answer.")
(defvar-local vicinal--index 0 "Which of them is shown.")
(defvar-local vicinal--start nil "Where they begin; a position.")
(defvar-local vicinal--right "" "What stood right of the cursor in its line.")
(defvar-local vicinal--place nil "Point and the buffer's tick when we last looked.")
(defvar-local vicinal--generation 0 "Which request is the last one.")
(defvar-local vicinal--visible nil "Whether ghost text is shown; turns `vicinal-active-map' on.")

(defun vicinal--item ()
  (nth vicinal--index vicinal--items))

(defun vicinal--text (item)
  (replace-regexp-in-string "\r\n?" "\n" (plist-get item :insertText)))

(defun vicinal--right-now ()
  (buffer-substring-no-properties (point) (line-end-position)))

(defun vicinal--rest ()
  "What of the item shown is not in the buffer yet.
Nil if something else has been typed."
  (when (and vicinal--items (>= (point) vicinal--start) (equal (vicinal--right-now) vicinal--right))
    (let ((text (vicinal--text (vicinal--item)))
          (typed (buffer-substring-no-properties vicinal--start (point))))
      (and (string-prefix-p typed text) (< (length typed) (length text))
           (substring text (length typed))))))

(defun vicinal--confidence (item)
  (plist-get (aref (plist-get (plist-get item :command) :arguments) 0) :confidence))

(defun vicinal--mark (confidence)
  (propertize (format " %.0f%%" (* 100 confidence))
              'face (cond ((>= confidence 0.66) 'vicinal-sure) ((>= confidence 0.33) 'vicinal-unsure) (t 'vicinal-guess))))

(defun vicinal--hide ()
  (setq vicinal--visible nil)
  (when vicinal--overlay
    (delete-overlay vicinal--overlay)))

(defun vicinal--draw ()
  "Show what still fits; forget what does not."
  (vicinal--hide)
  (if-let ((rest (vicinal--rest)))
      (let* ((lines (split-string rest "\n"))
             (mark (if vicinal-show-confidence (vicinal--mark (vicinal--confidence (vicinal--item))) ""))
             (first (propertize (car lines) 'face 'vicinal-ghost))
             (below (mapconcat (lambda (line) (concat "\n" (propertize line 'face 'vicinal-ghost))) (cdr lines) ""))
             (shown (if (string-empty-p vicinal--right) (concat first mark below) (concat first below mark))))
        (unless vicinal--overlay
          (setq vicinal--overlay (make-overlay (point) (point) nil t t)))
        (put-text-property 0 1 'cursor t shown) ; the cursor stays before it
        (move-overlay vicinal--overlay (point) (point) (current-buffer))
        (overlay-put vicinal--overlay 'after-string shown)
        (setq vicinal--visible t))
    (setq vicinal--items nil)))

(defun vicinal--received (buffer generation right turn result)
  "Take the RESULT of a request in BUFFER, and go TURN items further.
Nothing is done if GENERATION has passed.  RIGHT stood behind the cursor."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (when (= generation vicinal--generation)
        (setq vicinal--items (append (plist-get result :items) nil)
              vicinal--start (point)
              vicinal--right right
              vicinal--index (if vicinal--items (mod turn (length vicinal--items)) 0))
        (vicinal--draw)
        (when vicinal--visible
          (jsonrpc-notify (vicinal--server) :textDocument/didShowCompletion (list :item (vicinal--item))))))))

(defun vicinal--request (kind turn)
  "Ask the server, then go TURN items further.
KIND is 1 if the user asks, 2 if we do."
  (when-let ((server (vicinal--server)))
    (eglot--signal-textDocument/didChange)
    (let ((buffer (current-buffer))
          (generation (cl-incf vicinal--generation))
          (right (vicinal--right-now)))
      (jsonrpc-async-request
       server :textDocument/inlineCompletion
       (append (eglot--TextDocumentPositionParams) (list :context (list :triggerKind kind)))
       :timeout 600
       :success-fn (lambda (result) (vicinal--received buffer generation right turn result))
       :error-fn #'ignore
       :timeout-fn #'ignore))))

(defun vicinal--after-command ()
  "Follow the cursor, and ask where something was typed."
  (let ((place (cons (point) (buffer-chars-modified-tick))))
    (unless (equal place vicinal--place)
      (let ((typed (and vicinal--place (/= (cdr place) (cdr vicinal--place)))))
        (setq vicinal--place place)
        (cl-incf vicinal--generation)
        (vicinal--draw)
        (when typed
          (vicinal--request 2 0))))))

;;;; What one does with it

(defun vicinal--utf16-length (text)
  (/ (length (encode-coding-string text 'utf-16le)) 2))

(defun vicinal--take (cut)
  "Insert what the function CUT takes of the ghost text, and tell the server."
  (let* ((rest (or (vicinal--rest) (user-error "Vicinal suggests nothing here")))
         (piece (funcall cut rest))
         (item (vicinal--item))
         (command (plist-get item :command))
         (text (vicinal--text item)))
    (undo-boundary)
    (insert piece)
    (if (equal piece rest)
        (progn
          (setq vicinal--items nil)
          (vicinal--hide)
          (eglot--signal-textDocument/didChange)
          (jsonrpc-async-request (vicinal--server) :workspace/executeCommand
                                 (list :command (plist-get command :command) :arguments (plist-get command :arguments))
                                 :success-fn #'ignore :error-fn #'ignore))
      (let ((taken (substring text 0 (- (length text) (- (length rest) (length piece))))))
        (when (eq (coding-system-eol-type buffer-file-coding-system) 1)
          (setq taken (replace-regexp-in-string "\n" "\r\n" taken)))
        (jsonrpc-notify (vicinal--server) :textDocument/didPartiallyAcceptCompletion
                        (list :item item :acceptedLength (vicinal--utf16-length taken)))
        (vicinal--draw)))))

(defun vicinal-accept ()
  "Take the ghost text."
  (interactive)
  (vicinal--take #'identity))

(defun vicinal-accept-word ()
  "Take the next word of the ghost text."
  (interactive)
  (vicinal--take (lambda (rest)
                   (string-match "\\`[ \t\n]*\\(?:[[:alnum:]_]+\\|[^[:alnum:]_ \t\n]+\\|\\'\\)" rest)
                   (match-string 0 rest))))

(defun vicinal-accept-line ()
  "Take the next line of the ghost text."
  (interactive)
  (vicinal--take (lambda (rest)
                   (string-match "\\`[ \t\n]*.*" rest)
                   (match-string 0 rest))))

(defun vicinal--turn (by)
  (if (cdr vicinal--items)
      (progn
        (setq vicinal--index (mod (+ vicinal--index by) (length vicinal--items)))
        (vicinal--draw))
    (vicinal--request 1 by)))

(defun vicinal-next ()
  "Show another suggestion; they are asked for if there are none yet."
  (interactive)
  (vicinal--turn 1))

(defun vicinal-previous ()
  "Show the suggestion before."
  (interactive)
  (vicinal--turn -1))

(defun vicinal-dismiss ()
  "Send the ghost text away."
  (interactive)
  (cl-incf vicinal--generation)
  (setq vicinal--items nil)
  (vicinal--hide))

(defun vicinal-suggest ()
  "Ask for a suggestion here."
  (interactive)
  (vicinal--request 1 0))

(defun vicinal--unless-busy (command)
  "COMMAND, unless a completion menu is open or a snippet is being filled in."
  (unless (or completion-in-region-mode
              (bound-and-true-p company-candidates)
              (bound-and-true-p corfu--frame)
              (bound-and-true-p yas--active-field-overlay))
    command))

(defvar vicinal-active-map
  (let ((map (make-sparse-keymap)))
    (dolist (key '("TAB" "<tab>"))
      (define-key map (kbd key) '(menu-item "" vicinal-accept :filter vicinal--unless-busy)))
    (define-key map (kbd "M-<right>") #'vicinal-accept-word)
    (define-key map (kbd "M-<down>") #'vicinal-accept-line)
    (define-key map (kbd "M-n") #'vicinal-next)
    (define-key map (kbd "M-p") #'vicinal-previous)
    (define-key map (kbd "C-g") #'vicinal-dismiss)
    map)
  "Keys that hold while ghost text is shown.")

(defvar vicinal--emulation `((vicinal--visible . ,vicinal-active-map)))
(add-to-list 'emulation-mode-map-alists 'vicinal--emulation)

;;;; Commands

(defun vicinal-explain ()
  "Show why the last suggestion was made, how sure it is and what it rests on."
  (interactive)
  (let ((answer (vicinal--execute "vicinal.explain")))
    (unless answer
      (user-error "Vicinal has not answered anything yet"))
    (with-current-buffer (get-buffer-create "*vicinal*")
      (let ((inhibit-read-only t))
        (erase-buffer)
        (insert (plist-get answer :markdown) "\n\n")
        (mapc (lambda (piece)
                (insert-text-button
                 (format "%s:%d" (plist-get piece :path)
                         (1+ (plist-get (plist-get (plist-get piece :range) :start) :line)))
                 'action (lambda (_) (vicinal--visit piece)))
                (insert "\n"))
              (plist-get answer :evidence)))
      (special-mode)
      (use-local-map (make-composed-keymap button-buffer-map special-mode-map))
      (goto-char (point-min))
      (display-buffer (current-buffer)))))

(defun vicinal--visit (piece)
  "Open the code that PIECE of evidence names."
  (find-file-other-window (eglot--uri-to-path (plist-get piece :uri)))
  (goto-char (point-min))
  (forward-line (plist-get (plist-get (plist-get piece :range) :start) :line)))

(defun vicinal-query (question)
  "Find the code that tells most about QUESTION."
  (interactive "sWhat are you looking for? ")
  (let* ((found (vicinal--execute "vicinal.query" question))
         (root (plist-get found :repository)))
    (with-current-buffer (get-buffer-create "*vicinal query*")
      (let ((inhibit-read-only t))
        (erase-buffer)
        (setq default-directory (file-name-as-directory root))
        (mapc (lambda (finding)
                (insert (format "%s:%d: %.0f%% %s\n" (plist-get finding :path) (plist-get finding :start_line)
                                (* 100 (plist-get finding :share)) (plist-get finding :symbol))))
              (plist-get found :findings)))
      (grep-mode)
      (display-buffer (current-buffer)))))

(defun vicinal-status ()
  "Say how Vicinal is."
  (interactive)
  (let* ((now (vicinal--execute "vicinal.status"))
         (status (plist-get now :status)))
    (message "Vicinal: %s%s" (plist-get status :message)
             (if (string-empty-p (plist-get status :hint)) "" (concat "; " (plist-get status :hint))))))

(defun vicinal-toggle ()
  "Turn automatic suggestions off or on."
  (interactive)
  (let ((now (vicinal--execute "vicinal.toggle")))
    (message "Vicinal: automatic completions are %s" (if (eq (plist-get now :automatic) t) "on" "off"))))

(defun vicinal--lighter ()
  "What stands in the mode line.
How the server is, else how sure the last answer was."
  (cond ((not (member (plist-get vicinal--status :message) '(nil "ready")))
         (format " Vicinal[%s]" (plist-get vicinal--status :message)))
        (vicinal--answer (format " Vicinal[%.0f%%%%]" (* 100 (plist-get vicinal--answer :confidence))))
        (t " Vicinal")))

(define-minor-mode vicinal-mode
  "Ghost text from Vicinal.  On by itself in buffers whose server it is."
  :lighter (:eval (vicinal--lighter))
  (if vicinal-mode
      (add-hook 'post-command-hook #'vicinal--after-command nil t)
    (remove-hook 'post-command-hook #'vicinal--after-command t)
    (vicinal-dismiss)))

(defun vicinal--managed ()
  (vicinal-mode (if (and (eglot-managed-p) (vicinal--server)) 1 -1)))

(add-hook 'eglot-managed-mode-hook #'vicinal--managed)

(provide 'vicinal)
;;; vicinal.el ends here
