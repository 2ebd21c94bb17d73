"""The exceptions of the whole program; what they become over HTTP is the business of each API.

FaceServiceError
├── InvalidSettings         a FACE_* variable that can't be used
├── ModelUnavailable        weights missing, damaged or out of reach
├── ContractMismatch        the gallery was made with another model
├── WrongEncryptionKey      the gallery is encrypted with another key, or with none
├── InvalidImage            bytes that are not a usable picture
│   ├── ImageTooLarge       more bytes or pixels than allowed
│   ├── ImplausibleImage    a file such as no camera or program writes, which would take long
│   ├── DecodingStopped     decoding took too long, or its process died
│   └── UnsupportedFormat   a file that Pillow can't read
├── FaceNotFound            a picture without a face
│   └── TooSmall            a picture with fewer pixels than a face needs
├── PoorQuality             a face that can't be told from others reliably
│   ├── FaceBlurred         out of focus, or moved
│   ├── FaceDark            too dark
│   ├── FacePale            hardly any contrast
│   ├── FaceNoisy           a sensor's noise
│   ├── FaceOverexposed     glaring light
│   ├── FaceSmall           too few pixels
│   ├── FaceTurned          not looking into the camera
│   └── FaceUncertain       the detector is not sure enough that it is one
├── MultipleFaces           a picture with several faces where one is wanted
├── AlreadyRegistered       a face that is known under another remark, where that is refused
├── UnknownFace             a face_id that nobody has
├── UnreadableFace          a stored face that was altered since it was encrypted
├── UnknownPerson           a remark that no face has
├── UnknownGallery          a gallery that nobody made
├── RemarkInUse             a remark that another person has
├── InvalidRequest          a request that lacks an argument, or has one that can't be used
│   └── UnsupportedBody     a body of a type that isn't read
├── UnusableArchive         a file that is no export of a gallery, or a damaged one
├── Unauthenticated         a request that says of nobody that he sent it
│   ├── UnknownDevice       the device is not named, unknown or disabled
│   ├── UnknownKey          the key is malformed, unknown or disabled
│   ├── OperationDenied     its caller may do other things only, or in other galleries
│   └── BadSignature        forged, altered, stale or replayed
├── InvalidDevices          a file of devices that can't be used
├── InvalidKeys             a file of keys that can't be used
├── RateExceeded            more requests than a device may make
├── NoncesUnavailable       whether a request is a replay can't be found out
├── Overloaded              more work waiting than the queue holds
├── NotReady                no inference and query succeeded lately
└── StoreUnavailable        the gallery can't be reached or opened
    ├── GalleryInUse        another process has the embedded gallery open
    ├── GalleryDamaged      the embedded gallery's files are not as they were written
    ├── GalleryMoved        another model's gallery has taken its place
    └── AuditUnavailable    the audit trail can't be written, so that nothing may be changed
"""

from __future__ import annotations


class FaceServiceError(Exception):
    """Base of all. The message is one sentence for people, which says what to do.

    `code` is for programs, and stable: it goes into the log and the metrics, and no two classes have the same.
    """

    code = "error"


class InvalidSettings(FaceServiceError):
    code = "invalid_settings"


class ModelUnavailable(FaceServiceError):
    code = "model_unavailable"


class ContractMismatch(FaceServiceError):
    code = "contract_mismatch"


class WrongEncryptionKey(FaceServiceError):
    code = "wrong_encryption_key"


class InvalidImage(FaceServiceError):
    code = "invalid_image"


class ImageTooLarge(InvalidImage):
    code = "image_too_large"


class ImplausibleImage(InvalidImage):
    code = "implausible_image"


class DecodingStopped(InvalidImage):
    code = "decoding_stopped"


class UnsupportedFormat(InvalidImage):
    code = "unsupported_format"


class FaceNotFound(FaceServiceError):
    code = "face_not_found"


class TooSmall(FaceNotFound):
    code = "image_too_small"


class PoorQuality(FaceServiceError):
    code = "poor_quality"


class FaceBlurred(PoorQuality):
    code = "face_blurred"


class FaceDark(PoorQuality):
    code = "face_dark"


class FacePale(PoorQuality):
    code = "face_pale"


class FaceNoisy(PoorQuality):
    code = "face_noisy"


class FaceOverexposed(PoorQuality):
    code = "face_overexposed"


class FaceSmall(PoorQuality):
    code = "face_small"


class FaceTurned(PoorQuality):
    code = "face_turned"


class FaceUncertain(PoorQuality):
    code = "face_uncertain"


class MultipleFaces(FaceServiceError):
    code = "multiple_faces"


class AlreadyRegistered(FaceServiceError):
    code = "already_registered"


class UnknownFace(FaceServiceError):
    code = "unknown_face"


class UnreadableFace(FaceServiceError):
    code = "unreadable_face"


class UnknownPerson(FaceServiceError):
    code = "unknown_person"


class UnknownGallery(FaceServiceError):
    code = "unknown_gallery"


class RemarkInUse(FaceServiceError):
    code = "remark_in_use"


class InvalidRequest(FaceServiceError):
    code = "invalid_request"


class UnsupportedBody(InvalidRequest):
    code = "unsupported_body"


class UnusableArchive(FaceServiceError):
    code = "unusable_archive"


class Unauthenticated(FaceServiceError):
    code = "unauthenticated"


class UnknownDevice(Unauthenticated):
    code = "unknown_device"


class UnknownKey(Unauthenticated):
    code = "unknown_key"


class OperationDenied(Unauthenticated):
    code = "operation_denied"


class BadSignature(Unauthenticated):
    code = "bad_signature"


class InvalidDevices(FaceServiceError):
    code = "invalid_devices"


class InvalidKeys(FaceServiceError):
    code = "invalid_keys"


class RateExceeded(FaceServiceError):
    code = "rate_exceeded"


class NoncesUnavailable(FaceServiceError):
    code = "nonces_unavailable"


class Overloaded(FaceServiceError):
    code = "overloaded"


class NotReady(FaceServiceError):
    code = "not_ready"


class StoreUnavailable(FaceServiceError):
    code = "store_unavailable"


class GalleryInUse(StoreUnavailable):
    code = "gallery_in_use"


class GalleryDamaged(StoreUnavailable):
    code = "gallery_damaged"


class GalleryMoved(StoreUnavailable):
    code = "gallery_moved"


class AuditUnavailable(StoreUnavailable):
    code = "audit_unavailable"
